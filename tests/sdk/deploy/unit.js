// The systemd unit, by systemd's own tools: that it is right, and how confined.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';

import { program } from '../server.js';
import { called, read } from './files.js';

const UNIT = 'deploy/roomcast.service';
const PROGRAM = '/usr/local/bin/server';

// How exposed the service may be, of 100. A web server as distributions have it is at
// 96; what is left of this one is its network, and that it sees the system's files.
const EXPOSED_MOST = 20;

let folder;

before(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'roomcast-unit-'));
});

after(() => rm(folder, { recursive: true, force: true }));

test('systemd finds nothing wrong with the unit', async () => {
  const { code, said } = await analyzed(['verify'], (text) => text);
  assert.equal(code, 0, said);
  assert.doesNotMatch(said, /roomcast\.service/);
});

test('what is wrong would be found', async () => {
  const { said } = await analyzed(['verify'], (text) => `${text}Wanted=x\n`);
  assert.match(said, /roomcast\.service.*Wanted/);
});

const security = ['security', '--offline=true', `--threshold=${EXPOSED_MOST}`];

test('the service is confined', async () => {
  const { code, said } = await analyzed(security, (text) => text);
  assert.match(said, /exposure level for roomcast\.service/);
  assert.equal(code, 0, said);
});

test('a service that is not would be found', async () => {
  const loose = (text) => text.replace(/^SystemCallFilter=.*$/gm, '');
  assert.notEqual((await analyzed(security, loose)).code, 0);
});

test('the state is where the service may write', async () => {
  const text = await read(UNIT);
  const pairs = [...text.matchAll(/^Environment=(\w+)=(.*)$/gm)];
  assert.ok(pairs.length > 0);
  // What %S stands for in a service of the system.
  const env = pairs.map(([, name, value]) => [name, value.replace('%S', '/var/lib')]);
  const said = await called(['check', '--https'], Object.fromEntries(env));
  const [, owned] = /^StateDirectory=(.*)$/m.exec(text);
  assert.match(said, new RegExp(`^state +/var/lib/${owned},`, 'm'));
  assert.match(said, new RegExp(`^certificate .*/var/lib/${owned}/`, 'm'));
});

// Asks systemd-analyze about the unit, with the built program as its own.
async function analyzed(verb, change) {
  const text = await read(UNIT);
  assert.ok(text.includes(`ExecStart=${PROGRAM}\n`));
  const file = path.join(folder, 'roomcast.service');
  await writeFile(file, change(text.replace(`ExecStart=${PROGRAM}`, `ExecStart=${program()}`)));
  const systemd = spawn('systemd-analyze', [...verb, file], {
    env: { ...process.env, SYSTEMD_COLORS: '0', SYSTEMD_PAGER: '' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let said = '';
  systemd.stdout.on('data', (piece) => (said += piece));
  systemd.stderr.on('data', (piece) => (said += piece));
  const [code] = await once(systemd, 'close');
  return { code, said };
}
