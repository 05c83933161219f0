// What is refused, and that whoever was refused can go on.

import assert from 'node:assert/strict';

import { everyMode } from './stage.js';

const ROOM = 'now-playing';

everyMode('/schedule is reserved', async (stage) => {
  const client = stage.client('/schedule');
  const error = await client.next('connect_error');
  assert.match(error.message, /reserved/);
  assert.match(error.message, /schedule/);
  assert.equal(client.socket.connected, false);
});

everyMode('an unknown namespace is refused', async (stage) => {
  const client = stage.client('/nonesuch');
  const error = await client.next('connect_error');
  assert.notEqual(error.message, '');
  // The server's word, not a connection that failed.
  assert.equal(error.type, undefined, `this is an error of the transport: ${error.message}`);
  assert.equal(client.socket.connected, false);
});

everyMode('the refusal of a misspelt namespace names the nearest one', async (stage) => {
  const client = stage.client('/metdata');
  const error = await client.next('connect_error');
  assert.match(error.message, /did you mean `\/metadata`\?/);
  assert.equal(error.data?.code, 'unknown_namespace');
});

everyMode('an event without a namespace is answered with the namespaces', async (stage) => {
  const client = stage.client('/');
  await client.connected();
  const told = client.next('ERROR');
  client.socket.emit('JOIN', { room: ROOM });
  const error = await told;
  assert.equal(error.event, 'JOIN');
  assert.equal(error.code, 'no_namespace');
  assert.match(error.message, /\/metadata/);
  refusal(await client.ask('JOIN', { room: ROOM }), 'no_namespace');
});

everyMode('a refused namespace does not end its neighbours', async (stage) => {
  const { client } = await stage.joined('/metadata', { room: ROOM }, { multiplex: true });
  for (const namespace of ['/schedule', '/nonesuch']) {
    const refused = stage.client(namespace, { multiplex: true });
    assert.equal(refused.socket.io, client.socket.io);
    await refused.next('connect_error');
  }
  const playing = (await stage.feed()).play();
  assert.equal((await client.event()).message.track, playing.title);
});

everyMode('NOTIFY is not for listeners', async (stage) => {
  const { client: witness } = await stage.joined('/metadata', { room: ROOM });
  const { client } = await stage.joined('/metadata', { room: ROOM });
  const ack = await client.ask('NOTIFY', { room: ROOM, message: { track: 'Mine' } });
  refusal(ack, 'not_allowed');

  const told = client.next('ERROR');
  client.socket.emit('NOTIFY', { room: ROOM, message: { track: 'Mine' } });
  const error = await told;
  assert.equal(error.event, 'NOTIFY');
  assert.equal(error.code, 'not_allowed');
  assert.notEqual(error.message, '');

  const playing = (await stage.feed()).play();
  assert.equal((await witness.event()).message.track, playing.title);
  assert.equal((await client.event()).message.track, playing.title);
});

everyMode('/layout wants a name', async (stage) => {
  const { client, ack } = await stage.joined('/layout', { room: 'hall' });
  refusal(ack, 'name_required');
  refusal(await client.ask('JOIN', { room: 'hall', name: 'zetta' }), 'invalid_name');
  refusal(await client.ask('LEAVE', { room: 'hall' }), 'not_in_room');
  // Publishing there needs no JOIN.
  assert.equal((await client.ask('NOTIFY', { room: 'hall', message: 1 })).status, 'ok');
  assert.equal((await client.ask('JOIN', { room: 'hall', name: 'Ada' })).status, 'ok');
});

everyMode('bad input is answered and disconnects nobody', async (stage) => {
  const client = stage.client('/metadata');
  await client.connected();
  const { id } = client.socket;
  const bad = [
    [],
    [null],
    [7],
    ['not JSON'],
    [[]],
    [{}],
    [{ room: 7 }],
    [{ room: '' }],
    [{ room: 'x'.repeat(10_000) }],
    [{ room: 'no such room' }],
    [{ room: ROOM, since: 'yesterday' }],
  ];
  for (const args of bad) {
    refusal(await client.ask('JOIN', ...args));
  }
  refusal(await client.ask('DANCE', { room: ROOM }));
  refusal(await client.ask('JOIN', Buffer.from([0, 255])));
  refusal(await client.ask('JOIN', { room: 'no such room' }), 'unknown_room');

  assert.equal((await client.ask('JOIN', { room: ROOM })).status, 'ok');
  assert.equal(client.socket.id, id);
});

function refusal(ack, code = ack.code) {
  assert.equal(ack.status, 'error', JSON.stringify(ack));
  assert.match(ack.code, /^[a-z_]+$/);
  assert.equal(ack.code, code, JSON.stringify(ack));
  assert.equal(typeof ack.message, 'string');
  assert.notEqual(ack.message, '');
}
