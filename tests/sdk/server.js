// The server under test: started, asked whether it is ready, stopped.
// Knows the command line and `/health`, nothing of rooms.

import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import net from 'node:net';
import { once } from 'node:events';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

// How long a server may take until it answers, or until it has stopped
// (its own limit is 10 s).
const START_MS = 15_000;
const STOP_MS = 15_000;

// Below the range from which the kernel takes the ports of outgoing
// connections: nobody takes one while the server is down.
const PORTS = { first: 20_000, last: 32_000 };

// A port that nobody listens at now.
export async function freePort() {
  for (;;) {
    const span = PORTS.last - PORTS.first;
    const port = PORTS.first + Math.floor(Math.random() * span);
    const probe = net.createServer();
    const free = await new Promise((resolve) => {
      probe.once('error', () => resolve(false));
      probe.listen(port, '127.0.0.1', () => resolve(true));
    });
    if (free) {
      await new Promise((resolve) => probe.close(resolve));
      return port;
    }
  }
}

export class Server {
  #folder;
  #process;
  #stderr = '';
  port;
  zettaPort;

  // `flags` and `env` are added to those that every test's server has.
  constructor({ tls = false, flags = [], env = {} } = {}) {
    this.tls = tls;
    this.flags = flags;
    this.env = env;
  }

  static async start(options) {
    const server = new Server(options);
    server.#folder = await mkdtemp(path.join(os.tmpdir(), 'roomcast-sdk-'));
    server.port = await freePort();
    server.zettaPort = await freePort();
    try {
      await server.run();
    } catch (error) {
      await server.end();
      throw error;
    }
    return server;
  }

  // Runs the program and waits until it is ready: also again, after a stop.
  async run() {
    const { PATH, HOME } = process.env;
    const flags = [
      '--host', '127.0.0.1',
      '--port', String(this.port),
      '--zetta-listen', `127.0.0.1:${this.zettaPort}`,
      '--state', path.join(this.#folder, 'state'),
      ...this.flags,
    ];
    if (this.tls) {
      flags.push('--https', '--certs', path.join(this.#folder, 'certs'));
    }
    this.#process = spawn(program(), flags, {
      cwd: this.#folder,
      // Not the rest: a setting of the environment is a setting of the server.
      env: { PATH, HOME, RUST_BACKTRACE: '1', RUNTIME_DIRECTORY: this.#folder, ...this.env },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    this.#process.stderr.on('data', (text) => {
      this.#stderr += text;
    });
    this.#process.on('error', (error) => {
      this.#stderr += `${error}\n`;
    });
    const until = Date.now() + START_MS;
    while (!(await this.#ready())) {
      const { exitCode, signalCode, pid } = this.#process;
      if (exitCode !== null || signalCode !== null || pid === undefined) {
        throw new Error(`the server ended before it was ready:\n${this.#stderr}`);
      }
      if (Date.now() > until) {
        throw new Error(`the server is not ready after ${START_MS} ms:\n${this.#stderr}`);
      }
      await pause(10);
    }
  }

  // Sends a signal and waits for the end: `{ code, signal }`.
  async stop(signal = 'SIGTERM') {
    const { exitCode, signalCode } = this.#process;
    if (exitCode !== null || signalCode !== null) {
      return { code: exitCode, signal: signalCode };
    }
    const ended = once(this.#process, 'exit', { signal: AbortSignal.timeout(STOP_MS) });
    this.#process.kill(signal);
    const [code, by] = await ended.catch(() => {
      throw new Error(`the server runs ${STOP_MS} ms after ${signal}:\n${this.#stderr}`);
    });
    return { code, signal: by };
  }

  // Stops it for good and removes what it wrote.
  async end() {
    if (this.#process?.pid !== undefined) {
      await this.stop('SIGKILL');
    }
    await rm(this.#folder, { recursive: true, force: true });
  }

  get url() {
    return `${this.tls ? 'https' : 'http'}://127.0.0.1:${this.port}`;
  }

  // What it has logged so far.
  get log() {
    return this.#stderr;
  }

  #ready() {
    const { get } = this.tls ? https : http;
    const asked = {
      host: '127.0.0.1',
      port: this.port,
      path: '/health',
      rejectUnauthorized: false,
      agent: false,
      timeout: 1_000,
    };
    return new Promise((resolve) => {
      const request = get(asked, (response) => {
        response.resume();
        resolve(response.statusCode === 200);
      });
      request.on('timeout', () => request.destroy());
      request.on('error', () => resolve(false));
    });
  }
}

// The path of the server to test.
export function program() {
  if (process.env.ROOMCAST_SERVER) {
    return path.resolve(process.env.ROOMCAST_SERVER);
  }
  const root = fileURLToPath(new URL('../..', import.meta.url));
  const built = ['release', 'debug'].map((kind) => path.join(root, 'target', kind, 'server'));
  const found = built.find((file) => existsSync(file));
  if (!found) {
    throw new Error(`there is no server to test: none of ${built.join(', ')}`);
  }
  return found;
}
