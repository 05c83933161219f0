// Two nodes that share rooms by a Redis of their own, and nginx before them; the SDKs
// and the addresses by which clients come.

import assert from 'node:assert/strict';
import http from 'node:http';
import { createRequire } from 'node:module';

import { io } from 'socket.io-client';

import { Client } from '../client.js';
import { Server } from '../server.js';
import { Front } from './front.js';
import { ask } from './mirror.js';
import { Redis } from './redis.js';

export const ROOM = 'hall';

// The SDK that apps take now, and the last one of Engine.IO v3.
export const SDKS = [
  { version: '4.8', sdk: io },
  { version: '2.5', sdk: createRequire(import.meta.url)('socket.io-client-2') },
];

// What a client needs to come from the nth network, and so by `ip_hash` to a node by itself.
export function fromNetwork(n) {
  return { agent: new http.Agent({ localAddress: `127.0.${n}.1` }) };
}

export class Cluster {
  #t;
  front;
  nodes;

  // Until the test is over; `way` as in configured.js.
  static async start(t, way) {
    const cluster = new Cluster();
    cluster.#t = t;
    const redis = await Redis.start();
    t.after(() => redis.end());
    const flags = ['--redis', `127.0.0.1:${redis.port}`, '--trusted-proxy', '127.0.0.1'];
    cluster.nodes = [];
    for (let n = 0; n < 2; n += 1) {
      const node = await Server.start({ flags });
      t.after(() => node.end());
      cluster.nodes.push(node);
      assert.deepEqual((await health(node)).broker, { kind: 'redis', connected: true });
    }
    cluster.front = await Front.start({ nodes: cluster.nodes.map(({ port }) => port), way });
    t.after(() => cluster.front.end());
    return cluster;
  }

  // The port of nginx.
  get port() {
    return this.front.port;
  }

  // A client that is on its way through nginx.
  client(options) {
    return this.#opened(this.port, options);
  }

  // How many clients each node has.
  counts() {
    return Promise.all(this.nodes.map(clients));
  }

  // One who speaks in the room, at a node itself: it gives what is said by `say`.
  async speaker(node, name) {
    const client = this.#opened(node.port, { transports: ['websocket'] });
    await client.connected();
    await joined(client, name);
    return (message) => client.ask('NOTIFY', { room: ROOM, message });
  }

  #opened(port, options) {
    const client = new Client(`http://127.0.0.1:${port}`, '/layout', options);
    this.#t.after(() => client.close());
    return client;
  }
}

// Joins the room; gives the answer.
export async function joined(client, name) {
  const ack = await client.ask('JOIN', { room: ROOM, name });
  assert.equal(ack.status, 'ok', JSON.stringify(ack));
  return ack;
}

// How many clients a node has.
export async function clients(node) {
  return (await health(node)).clients;
}

async function health(node) {
  return JSON.parse((await ask(node.port, '/health')).body);
}
