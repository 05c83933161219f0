// The files of deploy/ and what else the tests read of the repository: texts, the
// values of settings in them, and what the program says of itself.

import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { program } from '../server.js';

const ROOT = new URL('../../../', import.meta.url);

// The path of a file of the repository.
export function pathOf(name) {
  return fileURLToPath(new URL(name, ROOT));
}

export function read(name) {
  return readFile(pathOf(name), 'utf8');
}

// The one place where a pattern is found in a file: its first group.
export async function found(name, pattern) {
  const all = [...(await read(name)).matchAll(new RegExp(pattern, 'gm'))];
  if (all.length !== 1) {
    throw new Error(`${name} has ${all.length} times ${pattern}`);
  }
  return all[0][1];
}

// A constant of the sources, in seconds.
export async function seconds(name, constant) {
  const pattern = `const ${constant}: Duration = Duration::from_secs\\((\\d+)\\);`;
  return Number(await found(name, pattern));
}

// What the program says when it is called so, with nothing else in its environment.
// A failure of the program is one of the caller's.
export async function called(args, env = {}) {
  const { stdout } = await promisify(execFile)(program(), args, { env });
  return stdout;
}
