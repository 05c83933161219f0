// A driver's process (drivers/README.md) and the clients in it.
// Every wait has a deadline and says what it waited for and what came instead.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import readline from 'node:readline';

// How long an SDK and the server have for anything that a step waits for, and
// a driver for its start (a Java VM beside others on two cores).
const DEADLINE_MS = 10_000;
const START_MS = 30_000;
const END_MS = 5_000;

// All that the server says in any of its protocols: SDKs hear only what they ask for.
const EVENTS = [
  'EVENT', 'CLIENTS', 'ERROR',
  'EVENTS', 'UPDATES', 'STATUS',
  'PEERS', 'JOINED', 'LEFT', 'MESSAGE', 'RTCSIGNAL',
];

export class Driver {
  #process;
  #clients = new Map();
  #stderr = '';
  #ready;
  // The SDK's, as its package says.
  version;

  static async start([program, ...args]) {
    const driver = new Driver();
    await driver.#start(program, args);
    return driver;
  }

  // A client that is on its way to a namespace.
  connect({ url, namespace, query, transports }) {
    const id = `client ${this.#clients.size + 1}`;
    const client = new Client(id, namespace, (command) => this.#write(command));
    this.#clients.set(id, client);
    this.#write({ do: 'connect', id, url, namespace, query, transports, events: EVENTS });
    return client;
  }

  async end() {
    const { exitCode, signalCode, pid } = this.#process;
    if (pid === undefined || exitCode !== null || signalCode !== null) {
      return;
    }
    const ended = once(this.#process, 'exit', { signal: AbortSignal.timeout(END_MS) });
    this.#process.stdin.end();
    await ended.catch(() => this.#process.kill('SIGKILL'));
  }

  async #start(program, args) {
    this.#process = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'] });
    this.#process.stdin.on('error', () => {});
    this.#process.stderr.on('data', (text) => {
      this.#stderr = (this.#stderr + text).slice(-4_000);
    });
    const ended = new Promise((resolve) => {
      this.#process.once('error', (error) => resolve(error.message));
      this.#process.once('close', (code, signal) => resolve(`ended (${signal ?? code})`));
    });
    const lines = readline.createInterface({ input: this.#process.stdout });
    lines.on('line', (line) => this.#heard(line));
    const ready = new Promise((resolve) => (this.#ready = resolve));
    ended.then((how) => this.#fail(new Error(`the driver ${how}\n${this.#stderr}`)));
    const said = await within(Promise.race([ready, ended]), START_MS, () => this.#stderr);
    if (typeof said === 'string') {
      throw new Error(`${program} ${args.join(' ')}: ${said}\n${this.#stderr}`);
    }
    this.version = said.version;
  }

  #heard(line) {
    let report;
    try {
      report = JSON.parse(line);
    } catch {
      this.#fail(new Error(`the driver wrote what is not JSON: ${line}`));
      return;
    }
    if (report.on === 'ready') {
      this.#ready(report);
    } else {
      this.#clients.get(report.id).heard(report);
    }
  }

  #fail(error) {
    for (const client of this.#clients.values()) {
      client.fail(error);
    }
  }

  #write(command) {
    this.#process.stdin.write(`${JSON.stringify(command)}\n`);
  }
}

// One client: what the SDK reports of it, in order, until somebody takes it.
export class Client {
  #id;
  #write;
  #unread = [];
  #wanting = [];
  #failed;
  #closed = false;
  #asked = 0;
  // What the SDK says its id is, since it last connected.
  sid;

  constructor(id, namespace, write) {
    this.#id = id;
    this.namespace = namespace;
    this.#write = write;
  }

  heard(report) {
    if (report.on === 'connect') {
      this.sid = report.sid;
    }
    const index = this.#wanting.findIndex(({ matches }) => matches(report));
    if (index < 0) {
      this.#unread.push(report);
    } else {
      this.#wanting.splice(index, 1)[0].resolve(report);
    }
  }

  fail(error) {
    this.#failed = error;
    this.#wanting.splice(0).forEach(({ reject }) => reject(error));
  }

  // The next thing of one of these kinds ('connect', 'disconnect', ...).
  next(...kinds) {
    return this.#take(kinds.join(' or '), ({ on }) => kinds.includes(on));
  }

  // What the next event of a name brings.
  async event(name = 'EVENT') {
    const matches = (report) => report.on === 'event' && report.name === name;
    return (await this.#take(name, matches)).args[0];
  }

  // Events that came and were not taken.
  get unread() {
    return this.#unread.filter(({ on }) => on === 'event');
  }

  // Sends an event and gives what its ack says.
  async ask(event, ...args) {
    const ack = ++this.#asked;
    this.#write({ do: 'emit', id: this.#id, event, args, ack });
    const matches = (report) => report.on === 'ack' && report.ack === ack;
    return (await this.#take(`the ack of ${event} ${JSON.stringify(args)}`, matches)).args[0];
  }

  tell(event, ...args) {
    this.#write({ do: 'emit', id: this.#id, event, args });
  }

  close() {
    if (!this.#closed) {
      this.#closed = true;
      this.#write({ do: 'disconnect', id: this.#id });
    }
  }

  #take(what, matches) {
    const index = this.#unread.findIndex(matches);
    if (index >= 0) {
      return Promise.resolve(this.#unread.splice(index, 1)[0]);
    }
    if (this.#failed) {
      return Promise.reject(this.#failed);
    }
    let want;
    const came = new Promise((resolve, reject) => {
      want = { matches, resolve, reject };
      this.#wanting.push(want);
    });
    return within(came, DEADLINE_MS, () => {
      this.#wanting.splice(this.#wanting.indexOf(want), 1);
      const instead = this.#unread.map((report) => JSON.stringify(report)).join('\n  ');
      return `${what} to ${this.#id} of ${this.namespace}; what came:\n  ${instead || 'nothing'}`;
    });
  }
}

function within(promise, ms, what) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`did not come in ${ms} ms: ${what()}`)), ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}
