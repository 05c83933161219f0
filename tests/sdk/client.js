// A listener: the official SDK, with what it is sent kept in order.
// Every wait has a deadline and says what it waited for.

import { io } from 'socket.io-client';

// How long the server has for anything that a test waits for.
export const DEADLINE_MS = 10_000;

export class Client {
  // EVENTs that came and were not taken yet, in the order in which they came.
  unread = [];
  #wanting = [];

  // By the newest SDK or another one, with what else that is told.
  constructor(url, namespace, { sdk = io, transports, multiplex = false, ...more } = {}) {
    this.socket = sdk(url + namespace, {
      ...(transports && { transports }),
      forceNew: !multiplex,
      multiplex,
      rejectUnauthorized: false,
      reconnectionDelay: 20,
      reconnectionDelayMax: 200,
      ...more,
    });
    this.socket.on('EVENT', (event) => {
      const want = this.#wanting.shift();
      if (want) {
        want(event);
      } else {
        this.unread.push(event);
      }
    });
  }

  // The next EVENT.
  event() {
    if (this.unread.length > 0) {
      return Promise.resolve(this.unread.shift());
    }
    const came = new Promise((resolve) => this.#wanting.push(resolve));
    return within(came, 'an EVENT');
  }

  // What the socket says next under a name ('connect', 'CLIENTS', ...).
  next(name) {
    const came = new Promise((resolve) => this.socket.once(name, resolve));
    return within(came, name);
  }

  // What the connection's engine says next under a name ('upgrade', ...).
  nextOfEngine(name) {
    const came = new Promise((resolve) => this.socket.io.engine.once(name, resolve));
    return within(came, `the engine's ${name}`);
  }

  // Waits until the namespace is open.
  async connected() {
    if (this.socket.connected) {
      return;
    }
    let refused;
    const failed = new Promise((_, reject) => {
      refused = (error) => reject(new Error(`connect_error: ${error.message}`, { cause: error }));
      this.socket.once('connect_error', refused);
    });
    await Promise.race([this.next('connect'), failed]);
    this.socket.off('connect_error', refused);
  }

  // Waits until an SDK that begins with polling has moved to a WebSocket.
  async upgraded() {
    if (this.socket.io.engine.transport.name === 'polling') {
      await this.nextOfEngine('upgrade');
    }
  }

  // Sends an event and gives what its ack says.
  ask(event, ...args) {
    const answered = new Promise((resolve) => this.socket.emit(event, ...args, resolve));
    return within(answered, `the ack of ${event} ${JSON.stringify(args)}`);
  }

  close() {
    this.socket.disconnect();
  }
}

// A promise that is given up after the deadline, with a word on what did not come.
export function within(promise, what) {
  let timer;
  const late = new Promise((_, reject) => {
    const error = new Error(`did not come in ${DEADLINE_MS} ms: ${what}`);
    timer = setTimeout(() => reject(error), DEADLINE_MS);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}
