// The server under test, on free ports. Knows the command line, what is said at
// the start, and how a backend publishes; nothing of browsers.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import http from 'node:http';
import os from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';

const START_MS = 15_000;

export class Server {
  #folder;
  #process;
  #lines = [];
  url;

  static async start(...flags) {
    const server = new Server();
    server.#folder = await mkdtemp(path.join(os.tmpdir(), 'roomcast-browser-'));
    const { PATH, HOME } = process.env;
    const fixed = ['--host', '127.0.0.1', '--port', '0', '--zetta-listen', 'off'];
    server.#process = spawn(process.env.ROOMCAST_SERVER, [...fixed, ...flags], {
      cwd: server.#folder,
      // Not the rest: a setting of the environment is a setting of the server.
      env: { PATH, HOME, RUST_BACKTRACE: '1' },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    try {
      server.url = await server.#said(/Socket\.IO: (http:[^"]*)\/socket\.io\//);
    } catch (error) {
      await server.end();
      throw error;
    }
    return server;
  }

  // Publishes in a room of /bus, as a backend does.
  async publish(room, message) {
    const request = http.request(`${this.url}/bus-message/${room}`, { method: 'POST' });
    request.end(JSON.stringify(message));
    const [answer] = await once(request, 'response');
    answer.resume();
    if (answer.statusCode !== 200) {
      throw new Error(`/bus-message answers ${answer.statusCode}`);
    }
  }

  async end() {
    const { exitCode, signalCode, pid } = this.#process;
    if (pid !== undefined && exitCode === null && signalCode === null) {
      const ended = once(this.#process, 'exit');
      this.#process.kill('SIGKILL');
      await ended;
    }
    await rm(this.#folder, { recursive: true, force: true });
  }

  // What it says in a line of its log, which is read to the end.
  #said(pattern) {
    return new Promise((resolve, reject) => {
      const failed = (why) => reject(new Error([why, ...this.#lines].join('\n')));
      const timer = setTimeout(() => failed('the server does not say where it is'), START_MS);
      this.#process.once('error', (error) => failed(error.message));
      const lines = createInterface({ input: this.#process.stderr });
      lines.on('line', (line) => {
        this.#lines.push(line);
        const [, found] = pattern.exec(line) ?? [];
        if (found) {
          clearTimeout(timer);
          resolve(found);
        }
      });
      lines.on('close', () => {
        clearTimeout(timer);
        failed('the server has ended');
      });
    });
  }
}
