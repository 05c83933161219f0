// What nginx lets through, what it makes of it, and what it keeps to itself.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { freePort, Server } from '../server.js';
import { Front, judged } from './front.js';
import { ask, Mirror } from './mirror.js';
import { Stream } from './stream.js';

const SESSION = '/socket.io/?EIO=4&transport=polling';

let mirror;
let shown;
let server;
let front;

before(async () => {
  mirror = await Mirror.start();
  shown = await Front.start(mirror.port);
  server = await Server.start({ flags: ['--trusted-proxy', '127.0.0.1'] });
  front = await Front.start(server.port);
});

after(async () => {
  mirror?.close();
  await shown?.end();
  await front?.end();
  await server?.end();
});

test('nginx finds nothing wrong with the file', async () => {
  const { code, said } = await judged(1);
  assert.equal(code, 0, said);
  assert.doesNotMatch(said, /\[(warn|error|emerg)\]/);
});

for (const target of [
  '/',
  '/healthcheck',
  '/ws?target=metadata',
  '/api/?target=metadata',
  '/api/now-playing',
  '/socket.io/?EIO=4&transport=polling',
  '/metricsx',
]) {
  test(`${target} reaches the server as it is`, async () => {
    const { status, body } = await ask(shown.port, target);
    assert.equal(status, 200);
    assert.equal(JSON.parse(body).url, target);
  });
}

for (const [target, method] of [
  ['/metrics'],
  ['/metrics?x=1'],
  ['//metrics'],
  ['/./metrics'],
  ['/api/../metrics'],
  ['/%6Detrics'],
  ['/api/%2e%2e/metrics'],
  ['http://roomcast/metrics'],
  ['/metrics', 'HEAD'],
  ['/health'],
  ['/bus-message/lobby', 'POST'],
  ['//bus-message/lobby', 'POST'],
  ['/socket.io/../bus-message/lobby', 'POST'],
  ['/%62us-message/lobby', 'POST'],
  ['/bus-message'],
]) {
  test(`${method ?? 'GET'} ${target} goes no further than nginx`, async () => {
    const body = method === 'POST' ? '{}' : undefined;
    assert.equal((await ask(shown.port, target, { method, body })).status, 404);
  });
}

// What nginx takes for something else, the server does not take for these.
for (const [target, method] of [
  ['/metrics/'],
  ['/metrics;x'],
  ['/METRICS'],
  ['/metrics%2F'],
  ['/metrics%00'],
  ['/metrics%3Fx'],
  ['/api/..%2Fmetrics'],
  ['/Bus-message/lobby', 'POST'],
  ['/api/..%2Fbus-message%2Flobby', 'POST'],
]) {
  test(`${method ?? 'GET'} ${target} is nothing to the server either`, async () => {
    const body = method === 'POST' ? '{}' : undefined;
    const { status, body: said } = await ask(front.port, target, { method, body });
    assert.ok([400, 404].includes(status), `${status} ${said}`);
    assert.doesNotMatch(said, /roomcast_/);
  });
}

test('what a client says of itself is not passed on', async () => {
  const headers = {
    'x-forwarded-for': '192.168.1.1, 10.0.0.1',
    'x-forwarded-proto': 'https',
    'x-real-ip': '192.168.1.1',
    forwarded: 'for=192.168.1.1',
    'x-own': 'kept',
  };
  const { body } = await ask(shown.port, '/', { headers, from: '127.0.0.2' });
  const { headers: came } = JSON.parse(body);
  assert.equal(came['x-forwarded-for'], '127.0.0.2');
  assert.equal(came['x-forwarded-proto'], 'http');
  assert.equal(came['x-own'], 'kept');
  assert.equal(came['x-real-ip'], undefined);
  assert.equal(came.forwarded, undefined);
  assert.equal(came.upgrade, undefined);
  assert.notEqual(came.connection, 'upgrade');
});

// A polling session answers to the address that has opened it: here the server
// shows whom it believes.
test('a session is that of the address that nginx sees', async () => {
  const opened = await ask(front.port, SESSION, {
    from: '127.0.0.2',
    headers: { 'x-forwarded-for': '127.0.0.3' },
  });
  const { sid } = JSON.parse(opened.body.slice(1));
  const post = (from) =>
    ask(front.port, `${SESSION}&sid=${sid}`, {
      method: 'POST',
      body: '40/metadata,',
      from,
      headers: { 'x-forwarded-for': '127.0.0.2' },
    });
  assert.equal((await post('127.0.0.3')).status, 400);
  assert.equal((await post('127.0.0.2')).status, 200);
});

test('no body is longer than the server takes, and none is cut that it takes', async () => {
  const opened = await ask(front.port, SESSION);
  const { sid } = JSON.parse(opened.body.slice(1));
  const most = 10 * 1024 * 1024;
  for (const [length, expected] of [
    [most, 200],
    [most + 1, 413],
  ]) {
    const answer = await ask(shown.port, `${SESSION}&sid=${sid}`, {
      method: 'POST',
      body: 'x'.repeat(length),
    });
    assert.equal(answer.status, expected, `${length}`);
  }
});

test('a page is compressed, a stream of events is not, and goes on at once', async (t) => {
  const headers = { 'accept-encoding': 'gzip' };
  const page = await ask(shown.port, '/page', { headers });
  assert.equal(page.headers['content-encoding'], 'gzip');
  // The mirror never ends it, and does not ask for it to be passed on at once.
  const stream = await Stream.open(shown.port, '/events/a/b', headers);
  t.after(() => stream.close());
  assert.equal(stream.headers['content-encoding'], undefined);
  for (const number of [1, 2]) {
    mirror.say(`data: ${number}\n\n`);
    assert.equal((await stream.next()).data, number);
  }
});

test('no query gets into the log, also when the server is not there', async () => {
  const alone = await Front.start(await freePort());
  const { status } = await ask(alone.port, '/api/?target=metadata&key=hidden');
  assert.equal(status, 502);
  const log = await alone.end();
  assert.match(log, /"GET \/api\/" 502 /);
  assert.doesNotMatch(log, /hidden|target=/);
});
