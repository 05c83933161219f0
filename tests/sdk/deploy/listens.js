// Listeners of every kind through nginx, as it is deployed, to the real server.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { after, before, test } from 'node:test';

import WebSocket from 'ws';

import { Client, DEADLINE_MS } from '../client.js';
import { Feed } from '../documents.js';
import { Server } from '../server.js';
import { Front } from './front.js';
import { Stream } from './stream.js';

const ROOM = 'now-playing';
const EVENTS = `/events/metadata/${ROOM}`;

let server;
let front;
let feed;

before(async () => {
  server = await Server.start({ flags: ['--trusted-proxy', '127.0.0.1'] });
  front = await Front.start(server.port);
  feed = await Feed.connect(server.zettaPort);
});

after(async () => {
  feed?.close();
  await front?.end();
  await server?.end();
});

// The example by which apps connect: its address, its ping, and what it reads. Only
// the port is another one than 80, below the address.
test('the original client has the track at once, and the next one live', async (t) => {
  const playing = await played();
  t.mock.timers.enable({ apis: ['setInterval'] });
  const tracks = [];

  const socket = new WebSocket('ws://localhost/api/?target=metadata', {
    createConnection: () => net.connect(front.port, '127.0.0.1'),
  });
  t.after(() => socket.terminate());
  socket.on('open', () => {
    setInterval(() => socket.ping(), 30_000);
  });
  socket.on('message', (data) => {
    tracks.push(JSON.parse(data));
  });

  await once(socket, 'message', soon());
  assert.equal(tracks.length, 1);
  assert.equal(tracks[0].track, playing.title);
  assert.equal(tracks[0].artist, playing.artist);

  for (let n = 0; n < 3; n += 1) {
    const pong = once(socket, 'pong', soon());
    t.mock.timers.tick(30_000);
    await pong;
  }

  const next = once(socket, 'message', soon());
  const live = feed.play();
  await next;
  assert.equal(tracks.length, 2);
  assert.equal(tracks[1].track, live.title);
});

for (const [name, transports, transport] of [
  ['polling', ['polling'], 'polling'],
  ['polling, then an upgrade', undefined, 'websocket'],
  ['websocket', ['websocket'], 'websocket'],
]) {
  test(`the SDK listens by ${name}`, async (t) => {
    const playing = await played();
    const client = new Client(`http://127.0.0.1:${front.port}`, '/metadata', { transports });
    t.after(() => client.close());
    await client.connected();
    if (transport === 'websocket') {
      await client.upgraded();
    }
    assert.equal(client.socket.io.engine.transport.name, transport);
    assert.equal((await client.ask('JOIN', { room: ROOM })).status, 'ok');
    assert.equal((await client.event()).message.track, playing.title);
    const live = feed.play();
    assert.equal((await client.event()).message.track, live.title);
  });
}

test('server-sent events come at once, and what was missed after a break', async (t) => {
  const playing = await played();
  const stream = await Stream.open(front.port, EVENTS, { 'accept-encoding': 'gzip' });
  t.after(() => stream.close());
  assert.equal(stream.headers['content-type'], 'text/event-stream');
  assert.equal(stream.headers['content-encoding'], undefined);
  assert.equal((await stream.next()).event, 'joined');
  assert.equal((await stream.next()).data.message.track, playing.title);
  const live = feed.play();
  const last = await stream.next();
  assert.equal(last.data.message.track, live.title);
  stream.close();

  const missed = [await played(), await played()];
  const again = await Stream.open(front.port, EVENTS, { 'last-event-id': last.id });
  t.after(() => again.close());
  assert.equal((await again.next()).data.recovered, true);
  for (const { title } of missed) {
    assert.equal((await again.next()).data.message.track, title);
  }
});

// Plays a song, and waits until listeners who come now are sent it.
async function played() {
  const playing = feed.play();
  const witness = await Stream.open(server.port, EVENTS);
  while ((await witness.next()).data.message?.track !== playing.title);
  witness.close();
  return playing;
}

// A wait that ends.
function soon() {
  return { signal: AbortSignal.timeout(DEADLINE_MS) };
}
