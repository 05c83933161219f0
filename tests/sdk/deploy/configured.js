// The nginx files of deploy/ for this machine: where things are, and for several nodes
// what docs/scaling.md changes. Runs nothing.

import { writeFile } from 'node:fs/promises';
import path from 'node:path';

import { read } from './files.js';

const NGINX = 'deploy/nginx.conf';
const CLUSTER = 'deploy/nginx-cluster.conf';

// The changes of docs/scaling.md, `[file, from, to]`: for any nodes, and by what a
// session is kept at one; `none` is what goes wrong.
const UPSTREAM = /upstream roomcast \{[^}]*\}/;
const POLLING = /(?<=location \/socket\.io\/ \{\s*)proxy_pass http:\/\/roomcast;/;
const TO_NODES = 'proxy_pass http://$roomcast_nodes;';
const NODES = [
  [NGINX, UPSTREAM, 'include nginx-cluster.conf;'],
  [NGINX, POLLING, TO_NODES],
];
const WAYS = {
  'by address': [],
  'by whole address': [[CLUSTER, 'ip_hash;', 'hash $remote_addr consistent;']],
  'by cookie': [
    [CLUSTER, 'ip_hash;', 'hash $roomcast_node consistent;'],
    [NGINX, TO_NODES, `${TO_NODES}\nadd_header Set-Cookie $roomcast_cookie;`],
  ],
  none: [[CLUSTER, 'ip_hash;', '']],
};

// All lines that docs/scaling.md has operators write, for the test of that.
export const WRITTEN = [...NODES, ...Object.values(WAYS).flat()]
  .flatMap(([, , to]) => to.split('\n'))
  .filter((line) => line !== '');

// Writes nginx's files into a folder, and gives the path of the first. The upstream is a
// port, or `{ nodes, way }`: two ports, and a name in WAYS.
export async function configured(folder, port, upstream) {
  const texts = { [NGINX]: await read(NGINX) };
  if (typeof upstream === 'object') {
    texts[CLUSTER] = await read(CLUSTER);
    change(texts, [...NODES, ...WAYS[upstream.way]]);
    change(
      texts,
      upstream.nodes.map((node, n) => [CLUSTER, `node${n + 1}:3000`, `127.0.0.1:${node}`]),
    );
  } else {
    change(texts, [[NGINX, 'server roomcast:3000;', `server 127.0.0.1:${upstream};`]]);
  }
  change(texts, [
    // First, since the folder may be in there itself.
    [NGINX, '/tmp/', `${folder}/`],
    [NGINX, 'listen 80 default_server;', `listen 127.0.0.1:${port} default_server;`],
    [NGINX, '/dev/stdout', path.join(folder, 'access.log')],
    [NGINX, '/dev/stderr', path.join(folder, 'error.log')],
  ]);
  for (const [name, text] of Object.entries(texts)) {
    await writeFile(path.join(folder, path.basename(name)), text);
  }
  return path.join(folder, path.basename(NGINX));
}

// Each place that is changed has to be there.
function change(texts, changes) {
  for (const [name, from, to] of changes) {
    const pieces = texts[name].split(from);
    if (pieces.length === 1) {
      throw new Error(`${name} has no ${from}`);
    }
    texts[name] = pieces.join(to);
  }
}
