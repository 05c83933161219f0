// What a listener and a screen do every day: join, hear, ask, send, leave.

import assert from 'node:assert/strict';

import { everyMode } from './stage.js';

const ROOM = 'now-playing';
const OFFSET = /^[a-z0-9]{12}-[0-9]+$/;
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

everyMode('the SDK connects by the transports of its mode', async (stage) => {
  const client = stage.client('/metadata');
  await client.connected();
  if (stage.mode.transports === undefined) {
    await client.upgraded();
  }
  assert.equal(client.socket.io.engine.transport.name, 'websocket');
  // The connection is as good after the upgrade as before.
  assert.equal((await client.ask('JOIN', { room: ROOM })).status, 'ok');
});

everyMode('JOIN of an empty room is acknowledged', async (stage) => {
  const { client, ack } = await stage.joined('/metadata', { room: ROOM });
  assert.deepEqual(Object.keys(ack).sort(), ['clients', 'offset', 'recovered', 'room', 'status']);
  assert.equal(ack.status, 'ok');
  assert.equal(ack.room, ROOM);
  assert.equal(ack.clients, 1);
  assert.match(ack.offset, OFFSET);
  assert.equal(typeof ack.recovered, 'boolean');

  const second = await stage.joined('/metadata', { room: ROOM });
  assert.equal(second.ack.clients, 2);
  assert.equal(second.ack.offset, ack.offset);
  assert.deepEqual(client.unread, []);
});

everyMode('JOIN is understood as a string that holds JSON', async (stage) => {
  const { client, ack } = await stage.joined('/metadata', JSON.stringify({ room: ROOM }));
  assert.equal(ack.status, 'ok');
  assert.equal(ack.room, ROOM);
  const playing = (await stage.feed()).play();
  assert.equal((await client.event()).message.track, playing.title);
});

everyMode('a JOIN sent before the connection stands is not lost', async (stage) => {
  const client = stage.client('/metadata');
  const ack = await client.ask('JOIN', { room: ROOM });
  assert.equal(ack.status, 'ok');
});

everyMode('JOIN twice is JOIN once', async (stage) => {
  const { client } = await stage.joined('/metadata', { room: ROOM });
  const again = await client.ask('JOIN', { room: ROOM });
  assert.equal(again.status, 'ok');
  assert.equal(again.clients, 1);
  const feed = await stage.feed();
  const first = feed.play();
  const second = feed.play();
  assert.equal((await client.event()).message.track, first.title);
  assert.equal((await client.event()).message.track, second.title);
});

everyMode('a document is an EVENT at once', async (stage) => {
  const { client, ack } = await stage.joined('/metadata', { room: ROOM });
  const feed = await stage.feed();
  feed.play({
    title: 'Pumpkin & "Søn" <1>',
    artist: 'Been Stellar',
    album: 'Scream from New York, NY',
    id: 1_370_785,
    start: new Date('2024-07-09T21:00:35Z'),
    length: 257.92,
  });

  const event = await client.event();
  assert.deepEqual(Object.keys(event).sort(), ['message', 'offset', 'room', 'sender', 'time']);
  assert.equal(event.sender, 'zetta');
  assert.equal(event.room, ROOM);
  assert.match(event.offset, OFFSET);
  assert.equal(number(event.offset), number(ack.offset) + 1);
  assert.equal(epoch(event.offset), epoch(ack.offset));
  assert.match(event.time, TIME);
  const { endsAt, ...rest } = event.message;
  assert.deepEqual(rest, {
    track: 'Pumpkin & "Søn" <1>',
    type: 'SONG',
    album: 'Scream from New York, NY',
    artist: 'Been Stellar',
    length: 257_920,
    timestampUTC: '2024-07-09T21:00:35Z',
    timestampCST: '2024-07-09T16:00:35Z',
    startedAt: '2024-07-09T16:00:35-05:00',
  });
  const ends = Date.parse('2024-07-09T21:00:35Z') + 257_920;
  // To the second: how finely it is written is not the contract.
  assert.ok(Math.abs(Date.parse(endsAt) - ends) < 1_000, `endsAt is ${endsAt}`);

  const next = feed.play();
  const live = await client.event();
  assert.equal(live.message.track, next.title);
  assert.equal(number(live.offset), number(event.offset) + 1);
});

everyMode('who joins later is told what is on', async (stage) => {
  const { client: witness } = await stage.joined('/metadata', { room: ROOM });
  const feed = await stage.feed();
  feed.play();
  const playing = feed.play();
  await witness.event();
  const heard = await witness.event();

  const { client, ack } = await stage.joined('/metadata', { room: ROOM });
  assert.equal(ack.offset, heard.offset);
  assert.deepEqual(await client.event(), heard);
  assert.equal(heard.message.track, playing.title);

  const live = feed.play();
  assert.equal((await client.event()).message.track, live.title);
  assert.deepEqual(client.unread, []);
});

everyMode('what is not a song is masked, and the last song stays', async (stage) => {
  const { client: witness } = await stage.joined('/metadata', { room: ROOM });
  const feed = await stage.feed();
  const song = feed.play();
  feed.play({ type: 'SPOT', title: 'Secret Motors', artist: 'Secret Motors Inc', album: 'Ads' });
  const heard = [await witness.event(), await witness.event()];
  assert.equal(heard[0].message.track, song.title);
  assert.equal(heard[1].message.type, 'LINK');
  assert.equal(heard[1].message.artist, '');
  assert.equal(heard[1].message.album, '');
  assert.equal(typeof heard[1].message.track, 'string');
  assert.doesNotMatch(JSON.stringify(heard[1]), /Secret|Motors|Ads/);

  const { client } = await stage.joined('/metadata', { room: ROOM });
  const retained = [await client.event(), await client.event()];
  assert.deepEqual(retained.map(({ current }) => current), [false, true]);
  assert.deepEqual(retained.map(({ current, ...event }) => event), heard);
});

everyMode('events that come while clients connect and upgrade are whole', async (stage) => {
  const { client: witness } = await stage.joined('/metadata', { room: ROOM });
  const feed = await stage.feed();
  let last;
  const playAnother = async () => {
    feed.play();
    last = await witness.event();
  };
  await playAnother();

  let settled = 0;
  const clients = Array.from({ length: 10 }, () => stage.client('/metadata'));
  const settling = clients.map(async (client) => {
    // In the same instant as the CONNECT: what the SDK has held back goes out first.
    const joined = client.ask('JOIN', { room: ROOM });
    await client.connected();
    await client.upgraded();
    assert.equal((await joined).status, 'ok');
    settled++;
  });
  const all = Promise.all(settling);
  all.catch(() => (settled = clients.length));
  while (settled < clients.length) {
    await playAnother();
  }
  await all;
  await playAnother();

  for (const client of clients) {
    let event = await client.event();
    while (event.offset !== last.offset) {
      const before = number(event.offset);
      event = await client.event();
      assert.equal(number(event.offset), before + 1);
    }
    assert.deepEqual(client.unread, []);
  }
});

everyMode('CLIENTS names who is in the room', async (stage) => {
  const { client } = await stage.joined('/layout', { room: 'hall', name: 'Ada' });
  await stage.joined('/layout', { room: 'hall', name: 'Grace' });
  await stage.joined('/layout', { room: 'attic', name: 'Elsewhere' });

  const ack = await client.ask('CLIENTS', { room: 'hall' });
  const expected = { room: 'hall', clients: ['Ada', 'Grace'], total: 2 };
  ack.clients.sort();
  assert.deepEqual(ack, { status: 'ok', ...expected });
  // Without an ack the answer is an event.
  const told = client.next('CLIENTS');
  client.socket.emit('CLIENTS', { room: 'hall' });
  const event = await told;
  event.clients.sort();
  assert.deepEqual(event, expected);
});

everyMode('CLIENTS counts listeners that gave no name', async (stage) => {
  const { client } = await stage.joined('/metadata', { room: ROOM });
  await stage.joined('/metadata', { room: ROOM });
  const told = client.next('CLIENTS');
  client.socket.emit('CLIENTS', { room: ROOM });
  const event = await told;
  assert.equal(event.room, ROOM);
  assert.equal(event.total, 2);
  assert.equal(event.clients.length, 2);
  for (const name of event.clients) {
    assert.equal(typeof name, 'string');
    assert.notEqual(name, '');
    assert.ok(!name.includes(client.socket.id), 'the id of the connection is a secret');
  }
});

everyMode('after LEAVE no more events come', async (stage) => {
  const { client: witness } = await stage.joined('/metadata', { room: ROOM });
  const { client } = await stage.joined('/metadata', { room: ROOM });
  const feed = await stage.feed();
  feed.play();
  await Promise.all([witness.event(), client.event()]);

  assert.deepEqual(await client.ask('LEAVE', { room: ROOM }), { status: 'ok', room: ROOM });
  const missed = feed.play();
  await witness.event();
  // An answer that is asked for now comes behind an event that was sent before.
  assert.equal((await client.ask('JOIN', { room: 'next' })).status, 'ok');
  assert.deepEqual(client.unread, []);

  const back = await client.ask('JOIN', { room: ROOM });
  assert.equal(back.clients, 2);
  assert.equal((await client.event()).message.track, missed.title);
});

everyMode('a client that goes is no longer counted', async (stage) => {
  const { client } = await stage.joined('/layout', { room: 'hall', name: 'Ada' });
  const { client: other } = await stage.joined('/layout', { room: 'hall', name: 'Grace' });
  other.close();
  // Its end and our question come by two connections: ask until it has come.
  const until = Date.now() + 10_000;
  let total;
  while (total !== 1) {
    assert.ok(Date.now() < until, `there are ${total} clients still`);
    ({ total } = await client.ask('CLIENTS', { room: 'hall' }));
  }
});

everyMode('NOTIFY reaches everybody else in the room', async (stage) => {
  const { client: ada } = await stage.joined('/layout', { room: 'hall', name: 'Ada' });
  const { client: grace } = await stage.joined('/layout', { room: 'hall', name: 'Grace' });
  const { client: other } = await stage.joined('/layout', { room: 'attic', name: 'Elsewhere' });
  const message = { show: 'grid', cells: [1, 2.5, null, true], 'née': { deep: '❤ \u2028' } };

  const ack = await ada.ask('NOTIFY', { room: 'hall', message });
  assert.deepEqual(Object.keys(ack).sort(), ['offset', 'room', 'status']);
  assert.equal(ack.status, 'ok');
  assert.equal(ack.room, 'hall');
  const event = await grace.event();
  assert.deepEqual(Object.keys(event).sort(), ['message', 'offset', 'room', 'sender', 'time']);
  assert.equal(event.sender, 'Ada');
  assert.equal(event.room, 'hall');
  assert.equal(event.offset, ack.offset);
  assert.match(event.time, TIME);
  assert.deepEqual(event.message, message);

  // What is sent without an ack is in order too.
  for (let n = 0; n < 5; n++) {
    grace.socket.emit('NOTIFY', JSON.stringify({ room: 'hall', message: `line ${n}` }));
  }
  for (let n = 0; n < 5; n++) {
    const line = await ada.event();
    assert.equal(line.message, `line ${n}`);
    assert.equal(line.sender, 'Grace');
    assert.equal(number(line.offset), number(event.offset) + 1 + n);
  }
  assert.deepEqual([ada.unread, grace.unread, other.unread], [[], [], []]);
});

everyMode('two namespaces share a connection', async (stage) => {
  const { client: ada } = await stage.joined(
    '/layout',
    { room: 'hall', name: 'Ada' },
    { multiplex: true },
  );
  const { client: listener } = await stage.joined(
    '/metadata',
    { room: ROOM },
    { multiplex: true },
  );
  assert.equal(ada.socket.io, listener.socket.io);
  const playing = (await stage.feed()).play();
  assert.equal((await listener.event()).message.track, playing.title);
  const { client: grace } = await stage.joined('/layout', { room: 'hall', name: 'Grace' });
  await grace.ask('NOTIFY', { room: 'hall', message: 'hello' });
  assert.equal((await ada.event()).message, 'hello');
  assert.deepEqual([ada.unread, listener.unread], [[], []]);
});

function number(offset) {
  return Number(offset.slice(offset.indexOf('-') + 1));
}

function epoch(offset) {
  return offset.slice(0, offset.indexOf('-'));
}
