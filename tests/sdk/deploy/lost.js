// A node is killed behind nginx: its clients come back at the other one by themselves,
// miss nothing, and nobody else notices.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { within } from '../client.js';
import { clients, Cluster, fromNetwork, joined, ROOM, SDKS } from './cluster.js';

// So many of each kind, from as many networks.
const EACH = 6;

// What is said before, while the killed node's clients are away, and behind that.
const LINES = 5;

// How long an SDK waits before it comes back, in milliseconds, by its own default: long
// enough that something is said meanwhile.
const AWAY = { reconnectionDelay: 1_000, reconnectionDelayMax: 5_000 };

const TRANSPORTS = [['polling'], undefined, ['websocket']];

test('clients of a node that is killed come back at the other one', async (t) => {
  const cluster = await Cluster.start(t, 'by address');
  const [killed, left] = cluster.nodes;
  const kinds = SDKS.flatMap(({ sdk }) => TRANSPORTS.map((transports) => ({ sdk, transports })));
  const crowd = kinds.flatMap((kind) =>
    Array.from({ length: EACH }, (_, n) => new Listener(cluster, { ...kind, ...fromNetwork(n) })),
  );
  await Promise.all(crowd.map((listener, n) => listener.start(`listener ${n}`)));
  const [lost, stay] = await cluster.counts();
  assert.equal(lost + stay, crowd.length);
  assert.ok(Math.min(lost, stay) > 0, `clients at the nodes: ${lost}, ${stay}`);
  const say = await cluster.speaker(left, 'speaker');
  const speak = async (first) => {
    for (let n = first; n < first + LINES; n += 1) {
      assert.equal((await say(n)).status, 'ok');
    }
  };
  await speak(0);
  await Promise.all(crowd.map((listener) => listener.hears(LINES)));

  const gone = new Promise((resolve) => {
    let count = 0;
    const one = () => (count += 1) === lost && resolve();
    crowd.forEach(({ client }) => client.socket.once('disconnect', one));
  });
  assert.deepEqual(await killed.stop('SIGKILL'), { code: null, signal: 'SIGKILL' });
  await within(gone, `the end of ${lost} connections`);
  await speak(LINES);
  await Promise.all(crowd.map((listener) => listener.hears(2 * LINES)));
  await speak(2 * LINES);
  await Promise.all(crowd.map((listener) => listener.hears(3 * LINES)));

  const everything = Array.from({ length: 3 * LINES }, (_, n) => n);
  for (const { heard } of crowd) {
    assert.deepEqual(heard, everything);
  }
  const back = crowd.flatMap((listener) => listener.back);
  assert.equal(back.length, lost, 'who was at the other node stayed there');
  assert.ok(back.every(({ recovered }) => recovered === true));
  assert.ok(back.some(({ missed }) => missed), 'something was said while they were away');
  assert.equal(await clients(left), crowd.length + 1);
});

// Joins with the last offset that it has seen each time that it connects, as apps do.
class Listener {
  heard = [];
  // For each time that it came back, what it was answered.
  back = [];
  #since;
  #name;

  constructor(cluster, options) {
    this.client = cluster.client({ ...options, ...AWAY });
  }

  async start(name) {
    const { client } = this;
    this.#name = name;
    await client.connected();
    this.#since = (await joined(client, name)).offset;
    client.socket.on('connect', () => this.#comeBack());
  }

  // Waits until it has heard so much.
  async hears(count) {
    while (this.heard.length < count) {
      const { message, offset } = await this.client.event();
      this.heard.push(message);
      this.#since = offset;
    }
  }

  #comeBack() {
    const since = this.#since;
    this.client.socket.emit('JOIN', { room: ROOM, name: this.#name, since }, (ack) => {
      this.back.push({ recovered: ack.recovered, missed: ack.offset !== since });
    });
  }
}
