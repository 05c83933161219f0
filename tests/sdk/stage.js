// What a test stands on: a server of its own, and what it opened, closed after it.
// Runs each test in every mode in which the SDK reaches a server.

import { test } from 'node:test';

import { Client } from './client.js';
import { Feed } from './documents.js';
import { Proxy } from './proxy.js';
import { freePort, Server } from './server.js';

// Every wait inside has a shorter deadline of its own: this ends a hang.
const TEST_MS = 90_000;

// The SDK's default is polling first, then an upgrade to WebSocket.
const MODES = [
  { name: 'websocket, http', transports: ['websocket'], tls: false },
  { name: 'websocket, https', transports: ['websocket'], tls: true },
  { name: 'polling then upgrade, http', transports: undefined, tls: false },
  { name: 'polling then upgrade, https', transports: undefined, tls: true },
];

// One test per mode; `body` is given a stage.
export function everyMode(title, body) {
  for (const mode of MODES) {
    test(`${title} (${mode.name})`, { timeout: TEST_MS }, async (t) => {
      const stage = new Stage(mode, await Server.start(mode));
      try {
        await body(stage);
      } catch (error) {
        t.diagnostic(`the server logged:\n${stage.server.log}`);
        throw error;
      } finally {
        await stage.end();
      }
    });
  }
}

class Stage {
  #opened = [];

  constructor(mode, server) {
    this.mode = mode;
    this.server = server;
  }

  // A client that is on its way to a namespace, directly or through a proxy.
  client(namespace, { through, ...options } = {}) {
    const scheme = this.mode.tls ? 'https' : 'http';
    const { port } = through ?? this.server;
    const { transports } = this.mode;
    const url = `${scheme}://127.0.0.1:${port}`;
    return this.#keep(new Client(url, namespace, { transports, ...options }));
  }

  // A client that is in a room: `{ client, ack }`.
  async joined(namespace, asked, options) {
    const client = this.client(namespace, options);
    await client.connected();
    const ack = await client.ask('JOIN', asked);
    return { client, ack };
  }

  async feed() {
    return this.#keep(await Feed.connect(this.server.zettaPort));
  }

  async proxy() {
    return this.#keep(await Proxy.listen(await freePort(), this.server.port));
  }

  async end() {
    for (const opened of this.#opened.reverse()) {
      opened.close();
    }
    await this.server.end();
  }

  #keep(opened) {
    this.#opened.push(opened);
    return opened;
  }
}
