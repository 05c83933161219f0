// Nodes behind nginx: polling clients stay with the node that has their session, others
// go to any. And what becomes of polling where nothing is sticky.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Cluster, fromNetwork, joined, SDKS } from './cluster.js';
import { WRITTEN } from './configured.js';
import { read } from './files.js';
import { judged } from './front.js';
import { ask } from './mirror.js';

// So many find both nodes: that all of them go to one by chance happens once in 2 to
// the 19th.
const CROWD = 20;

// What each of two speakers says, in one room at the same time.
const LINES = 10;

const POLLING = '/socket.io/?EIO=4&transport=polling';
const UNKNOWN = '{"code":"1","message":"Session ID unknown"}';

// How a client shows what nginx goes by. All come from one address where it is a cookie:
// SDK 4 keeps the one that nginx sets, SDK 2 knows none by itself on Node, and has one.
const BY_COOKIE = {
  '4.8': () => ({ withCredentials: true }),
  '2.5': (n) => ({ extraHeaders: { Cookie: `roomcast_node=of-client-${n}` } }),
};
const WAYS = [
  ['by address', () => fromNetwork],
  ['by whole address', () => fromNetwork],
  ['by cookie', (version) => BY_COOKIE[version]],
];

for (const [way] of WAYS) {
  test(`nginx finds nothing wrong with nodes ${way}`, async () => {
    const { code, said } = await judged({ nodes: [1, 2], way });
    assert.equal(code, 0, said);
    assert.doesNotMatch(said, /\[(warn|error|emerg)\]/);
  });
}

test('what is changed for these tests is what docs/scaling.md has changed', async () => {
  const text = await read('docs/scaling.md');
  assert.ok(WRITTEN.length > 3);
  assert.deepEqual(WRITTEN.filter((line) => !text.includes(`\`${line}\``)), []);
});

for (const [way, shownBy] of WAYS) {
  for (const { version, sdk } of SDKS) {
    for (const [name, transports] of [
      ['polling', ['polling']],
      ['polling, then an upgrade', undefined],
    ]) {
      test(`SDK ${version} by ${name} stays at its node, ${way}`, async (t) => {
        const cluster = await Cluster.start(t, way);
        const shown = shownBy(version);
        await everybodyHears(cluster, (n) => ({ sdk, transports, ...shown(n) }));
      });
    }
  }
}

for (const { version, sdk } of SDKS) {
  test(`SDK ${version} by WebSocket alone goes to the nodes in turn`, async (t) => {
    // From one address, by which polling would have only one node.
    const cluster = await Cluster.start(t, 'by address');
    await everybodyHears(cluster, () => ({ sdk, transports: ['websocket'] }));
  });
}

test('the cookie is set once, for Socket.IO alone', async (t) => {
  const cluster = await Cluster.start(t, 'by cookie');
  const { headers } = await ask(cluster.port, POLLING);
  const [set] = headers['set-cookie'];
  assert.match(set, /^roomcast_node=[0-9a-f]{32}; Path=\/socket\.io\/; HttpOnly; SameSite=Lax$/);
  const cookie = set.split(';')[0];
  for (const [target, sent] of [
    [POLLING, { cookie }],
    ['/', {}],
    ['/api/now-playing/history', {}],
  ]) {
    const again = await ask(cluster.port, target, { headers: sent });
    assert.equal(again.status, 200, target);
    assert.equal(again.headers['set-cookie'], undefined, target);
  }
});

test('where nothing is sticky, a session is unknown at the next request', async (t) => {
  const cluster = await Cluster.start(t, 'none');
  const opened = await ask(cluster.port, POLLING);
  const { sid } = JSON.parse(opened.body.slice(1));
  const { status, body } = await ask(cluster.port, `${POLLING}&sid=${sid}`);
  assert.equal(status, 400);
  assert.equal(body, UNKNOWN);
  assert.match(await cluster.front.end(), /"GET \/socket\.io\/" 400 /);
});

test('where nothing is sticky, the SDK is told so, and is not connected', async (t) => {
  const cluster = await Cluster.start(t, 'none');
  const client = cluster.client({ transports: ['polling'] });
  let connected = false;
  client.socket.on('connect', () => (connected = true));
  const said = [];
  // Read at once: the SDK throws the answer away behind it.
  const note = (words, { description, context }) =>
    said.push([words, description, context.responseText]);
  client.socket.once('connect_error', (error) => note(error.message, error));
  client.socket.once('disconnect', note);
  await client.next('disconnect');
  const [[error, ...details], disconnected] = said;
  assert.match(error, /^xhr (post|poll) error$/);
  assert.deepEqual(details, [400, UNKNOWN]);
  assert.deepEqual(disconnected, ['transport error', 400, UNKNOWN]);
  assert.equal(connected, false);
});

// Connects a crowd through nginx, the nth with these options; holds that both nodes have
// some of it, and that all hear what is said at both, all of it in the same order.
async function everybodyHears(cluster, optionsOf) {
  const crowd = Array.from({ length: CROWD }, (_, n) => cluster.client(optionsOf(n)));
  await Promise.all(crowd.map(settled));
  await Promise.all(crowd.map((client, n) => joined(client, `listener ${n}`)));
  const counts = await cluster.counts();
  assert.ok(Math.min(...counts) > 0, `clients at the nodes: ${counts}`);
  assert.equal(counts[0] + counts[1], CROWD);

  const names = cluster.nodes.map((_, n) => `speaker ${n}`);
  const said = names.map((name, n) => speak(cluster, cluster.nodes[n], name));
  const heard = await Promise.all(crowd.map((client) => hear(client, 2 * LINES)));
  await Promise.all(said);
  for (const events of heard) {
    assert.deepEqual(events, heard[0]);
  }
  const expected = Array.from({ length: LINES }, (_, n) => n);
  for (const name of names) {
    const lines = heard[0].filter(({ sender }) => sender === name);
    assert.deepEqual(lines.map(({ message }) => message), expected);
  }
}

// Waits until a client is connected as its transports allow at best.
async function settled(client) {
  await client.connected();
  const { transports } = client.socket.io.opts;
  if (transports?.join() !== 'polling') {
    await client.upgraded();
    assert.equal(client.socket.io.engine.transport.name, 'websocket');
  }
}

async function speak(cluster, node, name) {
  const say = await cluster.speaker(node, name);
  for (let n = 0; n < LINES; n += 1) {
    assert.equal((await say(n)).status, 'ok');
  }
}

async function hear(client, count) {
  const events = [];
  while (events.length < count) {
    events.push(await client.event());
  }
  return events;
}
