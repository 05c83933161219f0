// What deploy/ says is so: its options are the program's, its times and numbers fit
// those of the sources. Nothing of it is run here; no container engine is needed.

import assert from 'node:assert/strict';
import { access } from 'node:fs/promises';
import { before, test } from 'node:test';

import { parse } from 'yaml';

import { called, found, pathOf, read, seconds } from './files.js';

const IMAGE = 'deploy/Dockerfile';
const NGINX = 'deploy/nginx.conf';
const CLUSTER = 'deploy/nginx-cluster.conf';
const UNIT = 'deploy/roomcast.service';

// How long Docker waits for a container to stop, in seconds, where nothing is said.
const DOCKER_GRACE = 10;

let help;
let compose;
// The lines of the image itself, continued ones as one.
let image;

before(async () => {
  help = await called(['--help']);
  compose = parse(await read('deploy/compose.yaml'), { merge: true });
  const lines = (await read(IMAGE)).replaceAll(/^#.*\n/gm, '').replaceAll(/\\\n\s*/g, '');
  image = lines.slice(lines.lastIndexOf('\nFROM ') + 1).trim().split('\n');
});

test('nothing that works is closed for its silence', async () => {
  const patience = Number(await found(NGINX, /proxy_read_timeout (\d+)s;/));
  for (const [file, constant] of [
    ['src/doors/socketio/mod.rs', 'PING_INTERVAL'],
    ['src/doors/socket.rs', 'PING_EVERY'],
    ['src/doors/sse.rs', 'HEARTBEAT'],
  ]) {
    // One that is lost, and a slow network's time for the next.
    const period = await seconds(file, constant);
    assert.ok(patience > 2 * period, `${patience} s, and ${constant} of ${period} s`);
  }
});

test('times are in the order that their owners rely on', async () => {
  const stop = Number(/--shutdown-timeout[^]*?\[default: (\d+)s\]/.exec(help)[1]);
  const idle = await seconds('src/net/limits.rs', 'HEADER');
  const answer = await seconds('src/healthcheck.rs', 'ANSWER_WITHIN');
  const ofNginx = async (pattern) => Number(await found(NGINX, pattern));
  const grace = Number(compose.services.roomcast.stop_grace_period.replace(/s$/, ''));
  for (const [shorter, longer] of [
    [stop, Number(await found(UNIT, /^TimeoutStopSec=(\d+)s$/))],
    [stop, grace],
    // nginx lets go before the server closes, and before Docker kills it.
    [await ofNginx(/^\s+keepalive_timeout (\d+)s;/), idle],
    [await ofNginx(/worker_shutdown_timeout (\d+)s;/), DOCKER_GRACE],
    [answer, Number(await found(IMAGE, /HEALTHCHECK .*--timeout=(\d+)s/))],
  ]) {
    assert.ok(shorter < longer, `${shorter} s < ${longer} s`);
  }
});

test('there are open files for as many as may connect', async () => {
  const most = Number(/--max-connections[^]*?\[default: (\d+)\]/.exec(help)[1]);
  assert.ok(most > 0);
  const workers = Number(await found(NGINX, /worker_connections (\d+);/));
  assert.ok(workers >= 2 * most, 'nginx has two for each');
  assert.ok(Number(await found(NGINX, /worker_rlimit_nofile (\d+);/)) >= workers);
  assert.ok(compose.services.nginx.ulimits.nofile >= workers);
  assert.ok(compose.services.roomcast.ulimits.nofile > most);
  assert.ok(Number(await found(UNIT, /^LimitNOFILE=(\d+)$/)) > most);
});

test('nginx lets one address have as many connections as the server does', async () => {
  const most = Number(/--address-connections[^]*?\[default: (\d+)\]/.exec(help)[1]);
  assert.equal(Number(await found(NGINX, /limit_conn addresses (\d+);/)), most);
  assert.equal(await found(NGINX, /limit_conn_status (\d+);/), '429');
});

test('nginx keeps connections to nodes as it does to the one server', async () => {
  const one = lines((await upstreams(NGINX)).roomcast);
  const nodes = Object.values(await upstreams(CLUSTER)).map(lines);
  assert.equal(nodes.length, 2);
  const servers = (all) => all.filter((line) => line.startsWith('server '));
  assert.ok(servers(nodes[0]).length > 1);
  assert.deepEqual(servers(nodes[0]), servers(nodes[1]));
  const kept = one.filter((line) => line.startsWith('keepalive'));
  assert.ok(kept.length > 1);
  for (const all of nodes) {
    assert.deepEqual(all.filter((line) => line.startsWith('keepalive')), kept);
  }
});

test('the image runs the server, and nothing else', async () => {
  const user = told('USER');
  assert.match(user, /^[1-9]\d*:[1-9]\d*$/);
  assert.equal(told('COPY --from=build --chown='), `${user} /out/state /var/lib/roomcast`);
  assert.equal(told('STOPSIGNAL'), 'SIGTERM');
  assert.deepEqual(JSON.parse(told('VOLUME')), ['/var/lib/roomcast']);
  const entry = JSON.parse(told('ENTRYPOINT'));
  assert.deepEqual(entry, ['/usr/local/bin/server']);
  assert.equal(told('COPY --from=build /out/bin/server'), entry[0]);
  const check = JSON.parse(told('HEALTHCHECK').replace(/^.*?CMD /, ''));
  assert.deepEqual(check, [...entry, 'healthcheck']);
  assert.match(help, /^ +healthcheck /m);
  assert.deepEqual(image.filter((line) => line.startsWith('RUN')), []);
});

test('the image has what the program asks for', async () => {
  const [port, zetta] = told('EXPOSE').split(' ');
  const said = await called(['check'], imageEnv());
  assert.match(said, new RegExp(`^clients +http://0\\.0\\.0\\.0:${port},`, 'm'));
  assert.match(said, new RegExp(`^zetta +tcp://0\\.0\\.0\\.0:${zetta} `, 'm'));
  assert.match(said, /^state +\/var\/lib\/roomcast,/m);
  const tls = await called(['check'], { ...imageEnv(), ROOMCAST_HTTPS: 'true' });
  assert.match(tls, /^certificate +self-signed, in \/var\/lib\/roomcast\/certs$/m);
});

test('the image is given all that it copies, and no key', async () => {
  const ignored = await read('.dockerignore');
  const given = [...ignored.matchAll(/^!(.*)$/gm)].map(([, name]) => name);
  assert.match(ignored, /^\*$/m);
  const copies = [...(await read(IMAGE)).matchAll(/^COPY (?!--)(.*) \S+$/gm)];
  const copied = copies.flatMap(([, names]) => names.split(' '));
  assert.ok(copied.length >= 4);
  assert.deepEqual(copied.sort(), given.sort());
  await Promise.all(copied.map((name) => access(pathOf(name))));
});

test('compose: the server knows its proxy, and only nginx is seen', async () => {
  const { roomcast, nginx } = compose.services;
  const env = { ...imageEnv(), ...set(roomcast.environment) };
  const [{ subnet }] = compose.networks.inside.ipam.config;
  assert.match(await called(['check'], env), new RegExp(`^proxies +${subnet}$`, 'm'));
  const [first] = subnet.split('/');
  const inside = first.slice(0, first.lastIndexOf('.') + 1);
  for (const { networks } of [roomcast, nginx]) {
    assert.ok(networks.inside.ipv4_address.startsWith(inside));
  }
  assert.deepEqual(roomcast.ports, ['${ZETTA_BIND:-127.0.0.1}:1234:1234']);
  assert.deepEqual(nginx.ports, ['80:80']);
  assert.equal(await found(NGINX, /listen (\d+) default_server;/), '80');
  const [port] = told('EXPOSE').split(' ');
  assert.equal(await found(NGINX, /server roomcast:(\d+);/), port);
  assert.equal(nginx.depends_on.roomcast.condition, 'service_healthy');
  assert.deepEqual(nginx.volumes, ['./nginx.conf:/etc/nginx/nginx.conf:ro']);
  assert.equal(roomcast.build.dockerfile, IMAGE);
  assert.deepEqual(roomcast.volumes, [`state:${JSON.parse(told('VOLUME'))[0]}`]);
});

test('compose: both are confined', () => {
  for (const [name, service] of Object.entries(compose.services)) {
    assert.equal(service.read_only, true, name);
    assert.deepEqual(service.cap_drop, ['ALL'], name);
    assert.equal(service.cap_add, undefined, name);
    assert.deepEqual(service.security_opt, ['no-new-privileges:true'], name);
    assert.equal(service.restart, 'unless-stopped', name);
    assert.ok(service.logging.options['max-size'], name);
  }
});

test('every variable is one of the program', async () => {
  const known = new Set(help.match(/ROOMCAST_\w+/g));
  assert.ok(known.size > 10);
  for (const file of [IMAGE, 'deploy/compose.yaml', UNIT]) {
    // `ROOMCAST_NAME=value` is how the unit says what a setting looks like.
    const all = (await read(file)).match(/ROOMCAST_[A-Z_]+\b/g);
    const used = all.filter((name) => name !== 'ROOMCAST_NAME');
    assert.ok(used.length > 0, file);
    assert.deepEqual(used.filter((name) => !known.has(name)), [], file);
  }
});

// The upstreams of one of nginx's files: what stands in each, by its name.
async function upstreams(name) {
  const blocks = (await read(name)).matchAll(/^ *upstream (\w+) \{([^}]*)\}/gm);
  return Object.fromEntries([...blocks].map(([, upstream, inside]) => [upstream, inside]));
}

function lines(text) {
  return text.trim().split(/\s*\n\s*/);
}

// What an instruction of the image says.
function told(instruction) {
  const lines = image.filter((line) => line.startsWith(instruction));
  assert.equal(lines.length, 1, instruction);
  return lines[0].slice(instruction.length).trim();
}

function imageEnv() {
  return Object.fromEntries(told('ENV').split(/\s+/).map((pair) => pair.split('=')));
}

// Those that are set: one without a value is taken from where compose runs.
function set(environment) {
  return Object.fromEntries(Object.entries(environment).filter(([, value]) => value !== null));
}
