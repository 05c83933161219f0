// The real nginx with deploy/'s files in front of a port of this machine, or of the
// ports of several nodes.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';

import { freePort } from '../server.js';
import { configured } from './configured.js';
import { Program } from './program.js';

export class Front {
  #folder;
  #program;
  port;

  // The upstream as in `configured`.
  static async start(upstream) {
    const front = new Front();
    front.#folder = await newFolder();
    front.port = await freePort();
    const file = await configured(front.#folder, front.port, upstream);
    const args = arguments_(file, 'daemon off;');
    try {
      front.#program = await Program.start('nginx', args, front.port);
    } catch (error) {
      throw new Error(`${error.message}${await front.end()}`, { cause: error });
    }
    return front;
  }

  // Ends it, once what it was asked is answered; gives all that it has logged.
  async end() {
    await this.#program?.end('SIGQUIT');
    const files = ['access.log', 'error.log'].map((name) => path.join(this.#folder, name));
    const texts = await Promise.all(files.map((file) => readFile(file, 'utf8').catch(() => '')));
    await rm(this.#folder, { recursive: true, force: true });
    return texts.join('');
  }
}

// What nginx says of the files: `{ code, said }`.
export async function judged(upstream) {
  const folder = await newFolder();
  const file = await configured(folder, await freePort(), upstream);
  const nginx = spawn('nginx', ['-t', ...arguments_(file, '')], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  nginx.stderr.on('data', (text) => (said += text));
  const [code] = await once(nginx, 'close');
  await rm(folder, { recursive: true, force: true });
  return { code, said };
}

function newFolder() {
  return mkdtemp(path.join(os.tmpdir(), 'roomcast-nginx-'));
}

function arguments_(file, directives) {
  // In its container nginx is a user from the start; as root it would become one
  // who can't read the folder.
  const user = os.userInfo().uid === 0 ? 'user root;' : '';
  return ['-p', path.dirname(file), '-e', 'stderr', '-c', file, '-g', directives + user];
}
