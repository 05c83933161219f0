// What pages of another origin may read of the server besides Socket.IO.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { Server } from './server.js';
import { Site } from './site.js';

let site;
const servers = {};

before(async () => {
  site = await Site.open();
  servers.any = await Server.start();
  servers.listed = await Server.start('--cors-origin', site.origin);
  servers.other = await Server.start('--cors-origin', 'https://elsewhere.example');
});

after(async () => {
  await site?.close();
  await Promise.all(Object.values(servers).map((server) => server.end()));
});

const OWN = { headers: { 'x-own': '1' } };
const POST = { method: 'POST', body: '1' };
const UNREADABLE = 'TypeError';

// target, request -> status where pages may read, and where the origin is not listed
const CASES = [
  ['/healthcheck', {}, 200, UNREADABLE],
  ['/health', {}, 200, UNREADABLE],
  // The browser asks whether it may send that.
  ['/health', OWN, 200, UNREADABLE],
  // It may know that it may not.
  ['/bus-message/r', POST, 403, UNREADABLE],
  ['/nothing', {}, 404, UNREADABLE],
  ['/metrics', {}, UNREADABLE, UNREADABLE],
  ['/metrics', OWN, UNREADABLE, UNREADABLE],
];

for (const [target, request, readable, otherwise] of CASES) {
  test(`${target} ${JSON.stringify(request)}`, async () => {
    const page = await site.page(4);
    for (const [list, expected] of [
      ['any', readable],
      ['listed', readable],
      ['other', otherwise],
    ]) {
      const url = servers[list].url + target;
      assert.equal(await page.evaluate(read, { url, request }), expected, list);
    }
    await page.close();
  });
}

// Runs in the page.
async function read({ url, request }) {
  try {
    return (await fetch(url, request)).status;
  } catch (error) {
    return error.name;
  }
}
