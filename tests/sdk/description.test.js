// The description of the HTTP API: valid as OpenAPI, and true of what is answered.
// Knows paths and what to ask there; what comes back is in the description only.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { Validator } from '@seriousme/openapi-schema-validator';
import addFormats from 'ajv-formats';
import { Ajv2020 } from 'ajv/dist/2020.js';

import { Client } from './client.js';
import { Server } from './server.js';

const TOKEN = '0123456789abcdef';
const BEARER = { authorization: `Bearer ${TOKEN}` };
const ROOM = '/api/{namespace}/{room}';
const HISTORY = '/api/now-playing/history';

let server;
let description;
let ajv;

before(async () => {
  server = await Server.start({
    env: { ROOMCAST_TOKEN_BUS: TOKEN, ROOMCAST_TOKEN_METADATA: TOKEN },
  });
  description = await (await fetch(`${server.url}/api/openapi.json`)).json();
  // Not strict: OpenAPI has keywords that JSON Schema does not know, as `example`.
  ajv = addFormats(new Ajv2020({ strict: false, allErrors: true }));
  ajv.addSchema({ ...description, $id: 'api' });
});

after(() => server?.end());

test('the description is valid, and would not be with a response undescribed', async () => {
  const { valid, errors } = await new Validator().validate(structuredClone(description));
  assert.ok(valid, JSON.stringify(errors));
  const broken = structuredClone(description);
  delete broken.paths[HISTORY].get.responses[200].description;
  assert.equal((await new Validator().validate(broken)).valid, false);
});

test('what is answered is as described', async () => {
  await answered('get', '/api/now-playing', 200);
  const listener = new Client(server.url, '/metadata', { transports: ['websocket'] });
  try {
    await listener.connected();
    await listener.ask('JOIN', { room: 'now-playing' });
    const track = { track: 'One', artist: 'A', length: 60_000.5 };
    conforms('#/components/schemas/PostedTrack', track);
    await posted('/api/metadata/now-playing', 202, track);
    conforms('#/components/schemas/Track', (await listener.event()).message);
    await posted('/api/metadata/next', 202, { track: 'Two' });
  } finally {
    listener.close();
  }
  const playing = await answered('get', '/api/now-playing', 200);
  assert.equal(playing.now.track, 'One');
  assert.equal((await answered('get', HISTORY, 200)).length, 1);
  const [row] = await answered('get', HISTORY, 200, { query: '?all=true&format=json' });
  assert.equal(row.type, 'SONG');
  await answered('get', HISTORY, 200, { query: '?format=csv' });
  await answered('get', '/api/now-playing.php', 200);
  const csv = { accept: 'text/csv' };
  await answered('get', '/api/now-playing.php', 200, { headers: csv });
  await answered('get', '/api/openapi.json', 200);
  await posted('/api/bus/hall', 200, { text: 'hello' });
  await answered('post', '/bus-message/{room}', 200, { target: '/bus-message/hall', body: '1' });
});

test('what is refused is a problem as described', async () => {
  await answered('get', HISTORY, 400, { query: '?limit=0' });
  await answered('get', '/api/now-playing.php', 400, { query: '?q=1001' });
  await posted('/api/bus/hall', 401, 1, {});
  await posted('/api/bus/hall', 403, 1, { authorization: 'Bearer fedcba9876543210' });
  await posted('/api/metadata/elsewhere', 404, { track: 'T' });
  await posted('/api/bus/hall', 413, 'x'.repeat(2 ** 20));
  await posted('/api/metadata/now-playing', 400, { artist: 'nobody has a title' });
  // Not even the name can be read.
  await posted('/api/bus/%ff', 400, 1);
  const web = { origin: 'http://elsewhere.example' };
  const target = '/bus-message/hall';
  await answered('post', '/bus-message/{room}', 401, { target, body: '1', headers: web });
});

async function posted(target, status, message, headers = BEARER) {
  return answered('post', ROOM, status, { target, headers, body: JSON.stringify(message) });
}

// Asks, and holds the answer against what is described at `path`.
async function answered(method, path, status, { target = path, query = '', headers, body } = {}) {
  const response = await fetch(server.url + target + query, { method, headers, body });
  const text = await response.text();
  const asked = `${method} ${target}${query}: ${response.status} ${text.slice(0, 300)}`;
  assert.equal(response.status, status, asked);
  const [type] = response.headers.get('content-type').split(';');
  const described = description.paths[path][method].responses[status];
  assert.ok(described?.content[type]?.schema, `${asked}: ${type} is not described`);
  const value = type.endsWith('json') ? JSON.parse(text) : text;
  const keys = ['paths', path, method, 'responses', status, 'content', type, 'schema'];
  conforms(`#${keys.map(pointed).join('')}`, value);
  return value;
}

function conforms(schema, value) {
  const validate = ajv.getSchema(`api${schema}`) ?? ajv.compile({ $ref: `api${schema}` });
  assert.ok(validate(value), `${schema}: ${ajv.errorsText(validate.errors)}`);
}

// A step of a JSON pointer in a URI fragment (RFC 6901).
function pointed(key) {
  const escaped = String(key).replaceAll('~', '~0').replaceAll('/', '~1');
  return `/${encodeURIComponent(escaped)}`;
}
