// A network between client and server that can be cut.
// Passes bytes on; knows no protocol.

import net from 'node:net';
import { once } from 'node:events';

export class Proxy {
  #target;
  #server;
  // Each connection's two halves: [the client's, the server's].
  #pairs = new Set();
  port;
  // What clients have sent so far, in the pieces in which it came.
  sent = [];

  static async listen(port, target) {
    const proxy = new Proxy();
    proxy.port = port;
    proxy.#target = target;
    await proxy.restore();
    return proxy;
  }

  // Ends every connection of the clients and lets none in. The server sees the
  // end too, unless it is `unnoticed`: then its half stays open and nothing is
  // read there any more, as where a cable was pulled.
  async cut({ unnoticed = false } = {}) {
    const closed = once(this.#server, 'close');
    this.#server.close();
    for (const [inner, outer] of this.#pairs) {
      if (unnoticed) {
        inner.unpipe(outer);
        outer.unpipe(inner);
        outer.pause();
        inner.removeAllListeners('close');
      }
      inner.destroy();
    }
    await closed;
  }

  // Lets clients in again, at the same port.
  async restore() {
    this.#server = net.createServer({ noDelay: true }, (inner) => {
      const outer = net.connect({ host: '127.0.0.1', port: this.#target, noDelay: true });
      const pair = [inner, outer];
      this.#pairs.add(pair);
      for (const half of pair) {
        half.on('error', () => {});
      }
      inner.on('close', () => outer.destroy());
      outer.on('close', () => {
        inner.destroy();
        this.#pairs.delete(pair);
      });
      inner.on('data', (bytes) => this.sent.push(bytes));
      inner.pipe(outer).pipe(inner);
    });
    this.#server.listen(this.port, '127.0.0.1');
    await once(this.#server, 'listening');
  }

  close() {
    this.#server.close();
    for (const half of [...this.#pairs].flat()) {
      half.destroy();
    }
  }
}
