// A program of others that listens at a port of this machine: run, waited for, ended.
// Knows nothing of what it is asked there.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import net from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';

// How long one may take to listen.
const START_MS = 15_000;

export class Program {
  #process;
  #said = '';

  // Waits until it listens; what it says goes into the error where it does not.
  static async start(command, args, port) {
    const program = new Program();
    program.#run(command, args);
    const until = Date.now() + START_MS;
    while (!(await listens(port))) {
      if (program.#hasEnded() || Date.now() > until) {
        await program.end('SIGKILL');
        throw new Error(`${command} does not listen:\n${program.#said}`);
      }
      await pause(10);
    }
    return program;
  }

  async end(signal) {
    if (!this.#hasEnded()) {
      const ended = once(this.#process, 'exit');
      this.#process.kill(signal);
      await ended;
    }
  }

  #run(command, args) {
    this.#process = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    this.#process.on('error', ({ code, message }) => {
      this.#said += code === 'ENOENT' ? `${command} is not installed` : message;
    });
    for (const stream of [this.#process.stdout, this.#process.stderr]) {
      stream.on('data', (text) => (this.#said += text));
    }
  }

  #hasEnded() {
    const { exitCode, signalCode, pid } = this.#process;
    return pid === undefined || exitCode !== null || signalCode !== null;
  }
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
