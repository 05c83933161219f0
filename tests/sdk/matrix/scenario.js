// What every SDK has to be able to do, once for all of them.
// A step opens clients of its own, so that one that fails hides no other.

import assert from 'node:assert/strict';

import { Feed } from '../documents.js';

const ROOM = 'now-playing';
const MISSED = 3;

// What the table calls it, and the step: each is given a stage.
export const STEPS = [
  ['connect', connect],
  ['JOIN', join],
  ['NOTIFY', notify],
  ['EVENT', tracks],
  ['CLIENTS', clients],
  ['lobby', lobby],
  ['/trigger', trigger],
  ['/schedule', schedule],
  ['recovery', recovery],
  ['restart', restart],
];

async function connect(stage) {
  const { transports } = stage;
  const proxy = await stage.proxy();
  const client = stage.client('/layout', { through: proxy });
  const { sid, transport } = await client.next('connect');
  assert.equal(typeof sid, 'string');
  assert.notEqual(sid, '');
  if (transports) {
    assert.deepEqual([transport], transports);
  } else if (transport === 'polling') {
    assert.equal((await client.next('upgrade')).transport, 'websocket');
  } else {
    assert.equal(transport, 'websocket');
  }
  // The connection is as good after the upgrade as before.
  const ack = await client.ask('JOIN', { room: 'hall', name: 'Ada' });
  assert.equal(ack.status, 'ok', JSON.stringify(ack));

  // As it stood on the wire, whatever the SDK says.
  const wire = Buffer.concat(proxy.sent).toString('latin1');
  const asked = [...wire.matchAll(/(?:GET|POST) \S+ HTTP/g)].map(([line]) => line);
  const used = new Set(asked.map((line) => line.match(/[?&]transport=(\w+)/)?.[1]));
  assert.deepEqual([...used].sort(), transports ?? ['polling', 'websocket'], asked.join('\n'));
  stage.engine = Number(asked[0].match(/[?&]EIO=(\d+)/)[1]);
}

async function join(stage) {
  const ada = await stage.connected('/layout');
  const grace = await stage.connected('/layout');
  const expected = { status: 'ok', room: 'join', recovered: false };
  for (const [client, asked, count] of [
    [ada, { room: 'join', name: 'Ada' }, 1],
    [grace, JSON.stringify({ room: 'join', name: 'Grace' }), 2],
  ]) {
    const { offset, ...ack } = await client.ask('JOIN', asked);
    assert.deepEqual(ack, { ...expected, clients: count });
    assert.match(offset, /^[a-z0-9]{12}-[0-9]+$/);
  }
  const refused = await ada.ask('JOIN', 'not JSON');
  assert.equal(refused.status, 'error');
}

async function notify(stage) {
  const { client: ada } = await stage.joined('/layout', { room: 'notify', name: 'Ada' });
  const { client: grace } = await stage.joined('/layout', { room: 'notify', name: 'Grace' });
  const isAscii = stage.readsAsciiOnly && !stage.transports;
  const text = isAscii ? { nee: { deep: '<3' } } : { 'née': { deep: '❤ \u2028' } };
  const message = { show: 'grid', cells: [1, 2.5, null, true], ...text };
  const ack = await ada.ask('NOTIFY', { room: 'notify', message });
  const { time, ...event } = await grace.event();
  assert.deepEqual(ack, { status: 'ok', room: 'notify', offset: event.offset });
  assert.deepEqual(event, { sender: 'Ada', room: 'notify', message, offset: ack.offset });
  assert.equal(new Date(time).toISOString(), time);

  // What is sent without an ack, as a string, is in order too.
  const lines = Array.from({ length: 5 }, (_, n) => `line ${n}`);
  lines.forEach((line) => grace.tell('NOTIFY', JSON.stringify({ room: 'notify', message: line })));
  for (const line of lines) {
    const { sender, message: heard } = await ada.event();
    assert.deepEqual([sender, heard], ['Grace', line]);
  }
  assert.deepEqual([ada.unread, grace.unread], [[], []]);
}

async function tracks(stage) {
  const feed = stage.keep(await Feed.connect(stage.server.zettaPort));
  const { client } = await stage.joined('/metadata', { room: ROOM });
  const playing = feed.play();
  const event = await client.event();
  assert.deepEqual([event.sender, event.room], ['zetta', ROOM]);
  assert.equal(event.message.track, playing.title);
  // Who joins later is told what is on.
  const { client: later } = await stage.joined('/metadata', { room: ROOM });
  assert.deepEqual(await later.event(), event);
}

async function clients(stage) {
  const { client: ada } = await stage.joined('/layout', { room: 'clients', name: 'Ada' });
  await stage.joined('/layout', { room: 'clients', name: 'Grace' });
  const { status, ...ack } = await ada.ask('CLIENTS', { room: 'clients' });
  ack.clients.sort();
  assert.deepEqual(ack, { room: 'clients', clients: ['Ada', 'Grace'], total: 2 });
  assert.equal(status, 'ok');
}

async function lobby(stage) {
  const query = 'lobbyId=den';
  const ada = await stage.connected('/lobby', { query });
  assert.deepEqual(await ada.event('PEERS'), []);
  const grace = await stage.connected('/lobby', { query });
  const [adaId, graceId] = [ada, grace].map((client) => idInLobby(client, stage.engine));
  assert.deepEqual(await grace.event('PEERS'), [adaId]);
  assert.equal(await ada.event('JOINED'), graceId);

  const offer = { description: { type: 'offer', sdp: 'v=0\r\n' } };
  grace.tell('RTCSIGNAL', { to: adaId, ...offer, from: 'somebody else' });
  assert.deepEqual(await ada.event('RTCSIGNAL'), { to: adaId, ...offer, from: graceId });
  // Users of an SDK that reports the bare id have nothing else to send.
  ada.tell('RTCSIGNAL', { to: grace.sid, candidate: null });
  const answer = await grace.event('RTCSIGNAL');
  assert.deepEqual(answer, { to: grace.sid, candidate: null, from: adaId });

  ada.tell('BROADCAST', { message: 'hello' });
  assert.deepEqual(await grace.event('MESSAGE'), { from: adaId, message: 'hello' });
  grace.close();
  assert.equal(await ada.event('LEFT'), graceId);
}

// To a client of Engine.IO 3 an id has its namespace before it, as Socket.IO
// 2.x wrote it; some of its SDKs report the bare one.
export function idInLobby(client, engine) {
  return engine === 3 ? `/lobby#${client.sid.replace(/^.*#/, '')}` : client.sid;
}

async function trigger(stage) {
  const ada = await stage.connected('/trigger');
  const grace = await stage.connected('/trigger');
  for (const client of [ada, grace]) {
    assert.equal((await client.ask('JOIN', 'show')).status, 'ok');
  }
  for (const name of ['EVENTS', 'UPDATES', 'STATUS']) {
    ada.tell(`BROADCAST_${name}`, 'show', { cue: name });
    assert.deepEqual(await grace.event(name), { cue: name });
  }
  assert.deepEqual([ada.unread, grace.unread], [[], []]);
}

async function schedule(stage) {
  const { message } = await stage.client('/schedule').next('connect_error', 'error');
  assert.match(message, /reserved/);
  assert.match(message, /schedule/);
}

async function recovery(stage) {
  const { client: ada } = await stage.joined('/layout', { room: 'recovery', name: 'Ada' });
  const grace = { room: 'recovery', name: 'Grace' };
  const proxy = await stage.proxy();
  const { client, ack } = await stage.joined('/layout', grace, { through: proxy });
  await proxy.cut();
  await client.next('disconnect');
  const missed = Array.from({ length: MISSED }, (_, n) => `missed ${n}`);
  for (const message of missed) {
    await ada.ask('NOTIFY', { room: 'recovery', message });
  }
  await proxy.restore();
  await client.next('connect');
  const { recovered } = await client.ask('JOIN', { ...grace, since: ack.offset });
  assert.equal(recovered, true);
  await ada.ask('NOTIFY', { room: 'recovery', message: 'live' });
  for (const message of [...missed, 'live']) {
    assert.equal((await client.event()).message, message);
  }
  assert.deepEqual(client.unread, []);
}

async function restart(stage) {
  const names = ['Ada', 'Grace'].map((name) => ({ room: 'restart', name }));
  const both = [];
  for (const asked of names) {
    both.push({ asked, ...(await stage.joined('/layout', asked)) });
  }
  assert.deepEqual(await stage.server.stop('SIGTERM'), { code: 0, signal: null });
  await Promise.all(both.map(({ client }) => client.next('disconnect')));
  await stage.server.run();
  for (const { client, asked, ack } of both) {
    await client.next('connect');
    const again = await client.ask('JOIN', { ...asked, since: ack.offset });
    assert.deepEqual([again.status, again.recovered], ['ok', false]);
    assert.notEqual(again.offset.split('-')[0], ack.offset.split('-')[0]);
  }
  await both[0].client.ask('NOTIFY', { room: 'restart', message: 'we are back' });
  assert.equal((await both[1].client.event()).message, 'we are back');
}
