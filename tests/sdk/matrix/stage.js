// What steps stand on: a server and a driver, and what they open, closed after each.

import { Proxy } from '../proxy.js';
import { freePort, Server } from '../server.js';

export class Stage {
  #opened = [];
  // Where clients are opened if nothing else is said.
  driver;
  // Whether the SDK reads only ASCII text on a WebSocket.
  readsAsciiOnly = false;
  // The version of Engine.IO that the SDK speaks, once a step has seen it.
  engine;

  constructor(transports) {
    this.transports = transports;
  }

  async start() {
    this.server = await Server.start({ tls: false });
  }

  async proxy() {
    return this.keep(await Proxy.listen(await freePort(), this.server.port));
  }

  // A client that is on its way to a namespace, directly or through a proxy.
  client(namespace, { through = this.server, query, driver = this.driver } = {}) {
    const url = `http://127.0.0.1:${through.port}`;
    const { transports } = this;
    return this.keep(driver.connect({ url, namespace, query, transports }));
  }

  async connected(namespace, options) {
    const client = this.client(namespace, options);
    const { on, message } = await client.next('connect', 'connect_error', 'error');
    if (on !== 'connect') {
      throw new Error(`${namespace}: ${on}: ${message}`);
    }
    return client;
  }

  // A client that is in a room: `{ client, ack }`.
  async joined(namespace, asked, options) {
    const client = await this.connected(namespace, options);
    const ack = await client.ask('JOIN', asked);
    if (ack.status !== 'ok') {
      throw new Error(`JOIN ${JSON.stringify(asked)}: ${JSON.stringify(ack)}`);
    }
    return { client, ack };
  }

  keep(opened) {
    this.#opened.push(opened);
    return opened;
  }

  clear() {
    this.#opened.splice(0).forEach((opened) => opened.close());
  }

  async end() {
    this.clear();
    await this.driver?.end();
    await this.server?.end();
  }
}
