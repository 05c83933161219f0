// The real nginx with deploy/nginx.conf in front of a port of this machine. Changes
// of the file only what is another machine's: where things are, and the user.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

import { freePort } from '../server.js';
import { read } from './files.js';

// How long nginx may take to listen.
const START_MS = 15_000;

export class Front {
  #folder;
  #process;
  port;

  static async start(upstream) {
    const front = new Front();
    front.#folder = await mkdtemp(path.join(os.tmpdir(), 'roomcast-nginx-'));
    front.port = await freePort();
    const file = path.join(front.#folder, 'nginx.conf');
    await writeFile(file, await moved(front.port, upstream, front.#folder));
    front.#process = spawn('nginx', arguments_(file, 'daemon off;'), {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let said = '';
    front.#process.stderr.on('data', (text) => (said += text));
    const until = Date.now() + START_MS;
    while (!(await listens(front.port))) {
      if (front.#process.exitCode !== null || Date.now() > until) {
        await front.end();
        throw new Error(`nginx does not listen:\n${said}`);
      }
      await pause(10);
    }
    return front;
  }

  // Ends it, once what it was asked is answered; gives all that it has logged.
  async end() {
    if (this.#process.exitCode === null && this.#process.pid !== undefined) {
      const ended = once(this.#process, 'exit');
      this.#process.kill('SIGQUIT');
      await ended;
    }
    const files = ['access.log', 'error.log'].map((name) => path.join(this.#folder, name));
    const texts = await Promise.all(files.map((file) => readFile(file, 'utf8').catch(() => '')));
    await rm(this.#folder, { recursive: true, force: true });
    return texts.join('');
  }
}

// What nginx says of the file: `{ code, said }`.
export async function judged() {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'roomcast-nginx-'));
  const file = path.join(folder, 'nginx.conf');
  await writeFile(file, await moved(await freePort(), 1, folder));
  const nginx = spawn('nginx', ['-t', ...arguments_(file, '')], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  nginx.stderr.on('data', (text) => (said += text));
  const [code] = await once(nginx, 'close');
  await rm(folder, { recursive: true, force: true });
  return { code, said };
}

// The file for this machine; each place that is replaced has to be there.
async function moved(port, upstream, folder) {
  let text = await read('deploy/nginx.conf');
  for (const [there, here] of [
    // First, since the folder may be in there itself.
    ['/tmp/', `${folder}/`],
    ['server roomcast:3000;', `server 127.0.0.1:${upstream};`],
    ['listen 80 default_server;', `listen 127.0.0.1:${port} default_server;`],
    ['/dev/stdout', path.join(folder, 'access.log')],
    ['/dev/stderr', path.join(folder, 'error.log')],
  ]) {
    if (!text.includes(there)) {
      throw new Error(`deploy/nginx.conf has no ${there}`);
    }
    text = text.replaceAll(there, here);
  }
  return text;
}

function arguments_(file, directives) {
  // In its container nginx is a user from the start; as root it would become one
  // who can't read the folder.
  const user = os.userInfo().uid === 0 ? 'user root;' : '';
  return ['-p', path.dirname(file), '-e', 'stderr', '-c', file, '-g', directives + user];
}

function listens(port) {
  return new Promise((resolve) => {
    const probe = net.connect(port, '127.0.0.1', () => {
      probe.destroy();
      resolve(true);
    });
    probe.on('error', () => resolve(false));
  });
}
