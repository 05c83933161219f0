// The real redis-server at a port of its own, in memory only: what joins nodes.

import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';

import { freePort } from '../server.js';
import { Program } from './program.js';

export class Redis {
  #folder;
  #program;
  port;

  static async start() {
    const redis = new Redis();
    redis.#folder = await mkdtemp(path.join(os.tmpdir(), 'roomcast-redis-'));
    redis.port = await freePort();
    const settings = {
      '--port': redis.port,
      '--bind': '127.0.0.1',
      '--dir': redis.#folder,
      '--save': '',
      '--appendonly': 'no',
    };
    const args = Object.entries(settings).flat().map(String);
    try {
      redis.#program = await Program.start('redis-server', args, redis.port);
    } catch (error) {
      await redis.end();
      throw error;
    }
    return redis;
  }

  async end() {
    await this.#program?.end('SIGKILL');
    await rm(this.#folder, { recursive: true, force: true });
  }
}
