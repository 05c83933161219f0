// What listeners get from nginx while the server is away or has no room: an EventSource an
// answer after which it comes back, where any other status ends it for good.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { test } from 'node:test';

import WebSocket from 'ws';

import { DEADLINE_MS, within } from '../client.js';
import { Feed } from '../documents.js';
import { Server } from '../server.js';
import { Front } from './front.js';
import { ask } from './mirror.js';
import { Stream } from './stream.js';

const EVENTS = '/events/metadata/now-playing';

// So many answers say more than one time, if times are spread at all: that all of
// them say the same one of five happens once in 5 to the 19th.
const ASKED = 20;

test('a listener comes back behind a restart, and recovers', async (t) => {
  const { server, front } = await behind(t);
  const feed = await Feed.connect(server.zettaPort);
  const { title } = feed.play();
  const stream = await Stream.open(front.port, EVENTS);
  t.after(() => stream.close());
  let last;
  do {
    last = await stream.next();
  } while (last.data.message?.track !== title);
  feed.close();

  await server.stop();
  const headers = { 'last-event-id': last.id };
  const retries = new Set();
  for (let n = 0; n < ASKED; n += 1) {
    retries.add(comesBack(await ask(front.port, EVENTS, { headers })));
  }
  assert.ok(retries.size > 1, 'they come back at several times');
  // A name by which nginx would know a type.
  comesBack(await ask(front.port, '/events/metadata/room.png'));

  await server.run();
  const again = await Stream.open(front.port, EVENTS, headers);
  t.after(() => again.close());
  const joined = await again.next();
  assert.equal(joined.event, 'joined');
  assert.equal(joined.data.recovered, true);
});

test('a listener for whom there is no room comes back', async (t) => {
  const { server, front } = await behind(t, '--max-connections', '1');
  let first;
  do {
    // Until the connection is gone by which the server was asked whether it is ready.
    first = await Stream.open(server.port, EVENTS);
  } while ((await first.next())?.event !== 'joined');
  t.after(() => first.close());
  assert.equal((await ask(server.port, EVENTS)).status, 503);
  comesBack(await ask(front.port, EVENTS));
});

test('what the server itself refuses stays as it is', async (t) => {
  const { server, front } = await behind(t);
  for (const [target, method, status] of [
    ['/events/nothing/now-playing', 'GET', 404],
    ['/events/lobby/now-playing', 'GET', 404],
    ['/events/metadata', 'GET', 404],
    ['/events/metadata/%20', 'GET', 400],
    ['/events/metadata/other', 'GET', 404],
    [EVENTS, 'POST', 405],
  ]) {
    const own = await ask(server.port, target, { method });
    assert.equal(own.status, status, target);
    const through = await ask(front.port, target, { method });
    assert.equal(through.status, status, target);
    assert.equal(through.body, own.body, target);
  }
});

// The app of KJHK 90.7 FM reads each frame as a track. It shows nothing before its first
// track that is not a LINK. It does not reconnect: its user opens it again.
test('an app that is opened behind a restart has the song, and 5 s later the LINK', async (t) => {
  const { server, front } = await behind(t);
  const feed = await Feed.connect(server.zettaPort);
  const ago = (s) => new Date(Math.floor(Date.now() / 1000 - s) * 1000);
  const before = await App.open(t, front.port);
  const { title } = feed.play({ start: ago(60), length: 40 });
  assert.equal((await before.next()).track, title);
  feed.play({ start: ago(20), length: 300, type: 'SPOT', title: 'Buy it now' });
  assert.equal((await before.next()).type, 'LINK');
  feed.close();

  await server.stop();
  await before.closed;
  await server.run();
  const again = await App.open(t, front.port);
  const song = await again.next();
  const since = performance.now();
  assert.deepEqual([song.type, song.track], ['SONG', title]);
  const link = await again.next();
  assert.deepEqual([link.type, link.artist, link.album], ['LINK', '', '']);
  assert.doesNotMatch(link.track, /Buy/);
  assert.ok(performance.now() - since > 4_500, 'the LINK comes too soon');
});

// A WebSocket with the app's URL; only the port differs.
class App {
  #tracks = [];
  #wanting = [];

  static async open(t, port) {
    const app = new App();
    const socket = new WebSocket('ws://localhost/api/?target=metadata', {
      createConnection: () => net.connect(port, '127.0.0.1'),
    });
    t.after(() => socket.terminate());
    app.closed = once(socket, 'close');
    socket.on('message', (data) => {
      app.#tracks.push(JSON.parse(data));
      app.#wanting.shift()?.();
    });
    await once(socket, 'open', { signal: AbortSignal.timeout(DEADLINE_MS) });
    return app;
  }

  // The next frame.
  async next() {
    if (this.#tracks.length === 0) {
      const came = new Promise((resolve) => this.#wanting.push(resolve));
      await within(came, 'a track');
    }
    return this.#tracks.shift();
  }
}

// A server with these flags more, and nginx before it, until the test is over.
async function behind(t, ...flags) {
  const server = await Server.start({ flags: ['--trusted-proxy', '127.0.0.1', ...flags] });
  t.after(() => server.end());
  const front = await Front.start(server.port);
  t.after(() => front.end());
  return { server, front };
}

// Holds an answer to be one after which an EventSource comes back with the id that it
// has; gives after how many milliseconds.
function comesBack({ status, headers, body }) {
  assert.equal(status, 200);
  assert.equal(headers['content-type'], 'text/event-stream');
  assert.equal(headers['cache-control'], 'no-store');
  assert.equal(headers['access-control-allow-origin'], '*');
  // No empty line, which would be an event without an id.
  const [, retry] = /^: [^\n]+\nretry: (\d+)\n$/.exec(body) ?? [];
  assert.ok(Number(retry) >= 1_000, body);
  return retry;
}
