// A client that was cut off comes back by itself and misses nothing.

import assert from 'node:assert/strict';

import { everyMode } from './stage.js';

const ROOM = 'now-playing';
const MISSED = 5;

for (const unnoticed of [false, true]) {
  const how = unnoticed ? 'and the server does not notice' : 'and the server sees it';
  everyMode(`the network is cut, ${how}: exactly what was missed comes`, async (stage) => {
    const proxy = await stage.proxy();
    const feed = await stage.feed();
    const { client: witness } = await stage.joined('/metadata', { room: ROOM });
    const { client } = await stage.joined('/metadata', { room: ROOM }, { through: proxy });
    feed.play();
    await witness.event();
    const last = await client.event();
    const before = client.socket.id;

    const lost = client.next('disconnect');
    await proxy.cut({ unnoticed });
    await lost;
    const missed = [];
    for (let n = 0; n < MISSED; n++) {
      feed.play();
      missed.push(await witness.event());
    }
    const back = client.next('connect');
    await proxy.restore();
    await back;
    assert.notEqual(client.socket.id, before);

    const ack = await client.ask('JOIN', { room: ROOM, since: last.offset });
    assert.equal(ack.status, 'ok');
    assert.equal(ack.recovered, true);
    assert.equal(ack.offset, missed.at(-1).offset);
    const live = feed.play();
    const came = [];
    for (let n = 0; n <= MISSED; n++) {
      came.push(await client.event());
    }
    assert.deepEqual(came.slice(0, MISSED), missed);
    assert.equal(came[MISSED].message.track, live.title);
    assert.deepEqual(client.unread, []);
  });
}

everyMode('who missed nothing is sent nothing twice', async (stage) => {
  const proxy = await stage.proxy();
  const feed = await stage.feed();
  const { client } = await stage.joined('/metadata', { room: ROOM }, { through: proxy });
  feed.play();
  const last = await client.event();

  const lost = client.next('disconnect');
  await proxy.cut();
  await lost;
  const back = client.next('connect');
  await proxy.restore();
  await back;
  const ack = await client.ask('JOIN', { room: ROOM, since: last.offset });
  assert.equal(ack.recovered, true);
  assert.equal(ack.offset, last.offset);
  const live = feed.play();
  assert.equal((await client.event()).message.track, live.title);
});

everyMode('notifications between screens are recovered too', async (stage) => {
  const proxy = await stage.proxy();
  const { client: ada } = await stage.joined('/layout', { room: 'hall', name: 'Ada' });
  const grace = await stage.joined(
    '/layout',
    { room: 'hall', name: 'Grace' },
    { through: proxy },
  );
  // Nothing has come yet: the offset of the JOIN is where it stood.
  const since = grace.ack.offset;
  const lost = grace.client.next('disconnect');
  await proxy.cut();
  await lost;
  await ada.ask('NOTIFY', { room: 'hall', message: 'first' });
  await ada.ask('NOTIFY', { room: 'hall', message: 'second' });
  const back = grace.client.next('connect');
  await proxy.restore();
  await back;
  const ack = await grace.client.ask('JOIN', { room: 'hall', name: 'Grace', since });
  assert.equal(ack.recovered, true);
  assert.equal((await grace.client.event()).message, 'first');
  assert.equal((await grace.client.event()).message, 'second');
  assert.deepEqual(grace.client.unread, []);
});

// Ends the server and runs it again; the client has come back by itself.
async function restart(stage, client, signal) {
  const lost = client.next('disconnect');
  const ended = await stage.server.stop(signal);
  const expected = signal === 'SIGTERM' ? { code: 0, signal: null } : { code: null, signal };
  assert.deepEqual(ended, expected);
  const why = await lost;
  assert.notEqual(why, 'io server disconnect', 'the SDK does not come back by itself from this');
  const back = client.next('connect');
  await stage.server.run();
  await back;
}

for (const signal of ['SIGTERM', 'SIGKILL']) {
  everyMode(`after a restart by ${signal} the client comes back and is told so`, async (stage) => {
    const joining = { room: 'hall', name: 'Ada' };
    const { client, ack: before } = await stage.joined('/layout', joining);
    await restart(stage, client, signal);
    const ack = await client.ask('JOIN', { ...joining, since: before.offset });
    assert.equal(ack.status, 'ok');
    assert.equal(ack.recovered, false);
    assert.notEqual(ack.offset.split('-')[0], before.offset.split('-')[0]);
    const { client: grace } = await stage.joined('/layout', { room: 'hall', name: 'Grace' });
    await grace.ask('NOTIFY', { room: 'hall', message: 'live' });
    assert.equal((await client.event()).message, 'live');
    assert.deepEqual(client.unread, []);
  });
}

everyMode('what is on air is recovered across a restart', async (stage) => {
  const { client } = await stage.joined('/metadata', { room: ROOM });
  const feed = await stage.feed();
  feed.play();
  const first = await client.event();
  const missed = feed.play();
  await client.event();
  await restart(stage, client, 'SIGTERM');
  const ack = await client.ask('JOIN', { room: ROOM, since: first.offset });
  assert.equal(ack.recovered, true);
  assert.equal((await client.event()).message.track, missed.title);
  const live = (await stage.feed()).play();
  assert.equal((await client.event()).message.track, live.title);
  assert.deepEqual(client.unread, []);
});
