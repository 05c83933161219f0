// The SDK matrix: every SDK by every transport runs the scenario, then all of
// them meet. Prints the table that README shows. Arguments choose SDKs by name
// (javascript-1, java, ...); without any all run.

import { readFile } from 'node:fs/promises';

import { Driver } from './driver.js';
import { STEPS } from './scenario.js';
import { NotRun, SDKS } from './sdks.js';
import { Stage } from './stage.js';
import { row, rowNotRun, table } from './table.js';
import { MEETINGS } from './together.js';

// The columns of the table. The third is what SDKs do where nothing is said.
const TRANSPORTS = [['websocket'], ['polling'], undefined];

// How many runs there are at once: each is three processes.
const AT_ONCE = 2;

// Every wait inside has a shorter deadline of its own: this ends a hang.
const STEP_MS = 90_000;

const problems = [];

const chosen = process.argv.slice(2);
const isChosen = ({ name }) => chosen.includes(name) || chosen.includes(name.split('-')[0]);
const wanted = SDKS.filter((sdk) => chosen.length === 0 || isChosen(sdk));
if (wanted.length === 0) {
  throw new Error(`there is no such SDK; there are ${SDKS.map(({ name }) => name).join(', ')}`);
}
const entries = [];
for (const sdk of wanted) {
  entries.push(await prepared(sdk));
}
const ready = entries.filter(({ command }) => command);
const columns = ({ lacks = [] }) =>
  TRANSPORTS.flatMap((only, column) => (lacks.includes(only?.[0]) ? [] : [column]));
const runs = ready.flatMap((entry) => columns(entry).map((column) => ({ entry, column })));
const workers = Array.from({ length: AT_ONCE }, async () => {
  for (let next = runs.shift(); next; next = runs.shift()) {
    await scenario(next.entry, next.column);
  }
});
await Promise.all(workers);
if (ready.length > 1) {
  await meetings();
}

const rows = entries.map((entry) => (entry.command ? row(entry) : rowNotRun(entry)));
console.log(`\n${table(rows).join('\n')}\n`);
await compareWithReadme();
if (problems.length > 0) {
  console.error(`The SDK matrix fails:\n\n${problems.join('\n\n')}`);
  process.exitCode = 1;
}

// An SDK with the command that runs it; without, where a tool is missing for that
// or it can't be built.
async function prepared(sdk) {
  try {
    return { ...sdk, command: await sdk.prepare(), failed: [] };
  } catch (error) {
    if (!(error instanceof NotRun)) {
      problem(sdk.name, error);
      return sdk;
    }
    const reason = `NOT RUN: ${sdk.name}: ${error.message}`;
    console.log(reason);
    if (process.env.ROOMCAST_CI === '1') {
      problems.push(reason);
    }
    return sdk;
  }
}

async function scenario(entry, column) {
  const transports = TRANSPORTS[column];
  const what = `${entry.name}, ${transports?.join() ?? 'default'}`;
  const failed = (entry.failed[column] = []);
  const started = performance.now();
  await staged(transports, async (stage) => {
    stage.readsAsciiOnly = entry.readsAsciiOnly;
    stage.driver = await Driver.start(entry.command);
    entry.version = stage.driver.version;
    for (const [name, step] of STEPS) {
      try {
        await ending(step(stage), name);
      } catch (error) {
        failed.push(name);
        problem(`${what}: ${name}`, error);
      }
      stage.clear();
    }
    entry.engine ??= stage.engine;
  }).catch((error) => {
    failed.push('start');
    problem(what, error);
  });
  const took = ((performance.now() - started) / 1000).toFixed(1);
  const result = failed.length === 0 ? 'ok' : `fails: ${failed.join(', ')}`;
  console.log(`${what}: ${result} (${took} s)`);
}

// The drivers stay for all meetings, each by its SDK's default transports.
async function meetings() {
  await staged(undefined, async (stage) => {
    const members = [];
    try {
      for (const entry of ready) {
        members.push({ ...entry, driver: await Driver.start(entry.command) });
      }
      for (const [name, meet] of MEETINGS) {
        try {
          console.log(`all in ${name}: ${await ending(meet(stage, members), name)}`);
        } catch (error) {
          console.log(`all in ${name}: fails`);
          problem(`all in ${name}`, error);
        }
        stage.clear();
      }
    } finally {
      await Promise.all(members.map(({ driver }) => driver.end()));
    }
  }).catch((error) => problem('all together', error));
}

async function staged(transports, body) {
  const stage = new Stage(transports);
  try {
    await stage.start();
    await body(stage);
  } finally {
    await stage.end();
  }
}

function ending(promise, what) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} hangs`)), STEP_MS);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

function problem(where, error) {
  // Not the way through Node itself.
  const lines = error.stack.split('\n').filter((line) => !/^ +at .*\(?node:/.test(line));
  problems.push(`${where}: ${lines.join('\n')}`);
}

// README has the table as it was printed: once all of it could be.
async function compareWithReadme() {
  if (ready.length < SDKS.length) {
    return;
  }
  const readme = await readFile(new URL('../../../README.md', import.meta.url), 'utf8');
  if (!readme.includes(table(rows).join('\n'))) {
    problems.push('README shows another table than the one above: put that there');
  }
}
