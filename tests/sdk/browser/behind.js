// An EventSource of a page of another origin, behind nginx as it is deployed: a
// restart of the server ends it nowhere, and loses it nothing.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { Front } from '../deploy/front.js';
import { Feed } from '../documents.js';
import { Server } from '../server.js';
import { DEADLINE_MS, Site } from './site.js';

let site;
let server;
let front;

before(async () => {
  site = await Site.open();
  server = await Server.start({ flags: ['--trusted-proxy', '127.0.0.1'] });
  front = await Front.start(server.port);
});

after(async () => {
  await site?.close();
  await front?.end();
  await server?.end();
});

test('an EventSource comes back behind a restart', { timeout: 4 * DEADLINE_MS }, async () => {
  const page = await site.page(4);
  await page.evaluate(listen, `http://127.0.0.1:${front.port}/events/metadata/now-playing`);
  const first = await Feed.connect(server.zettaPort);
  const { title } = first.play();
  await page.waitForFunction((last) => window.tracks.at(-1) === last, title);
  first.close();

  await server.stop();
  // The second time it is nginx that answers.
  await page.waitForFunction(() => window.opened > 1);
  await server.run();
  const second = await Feed.connect(server.zettaPort);
  const { title: next } = second.play();
  await page.waitForFunction((last) => window.tracks.at(-1) === last, next);
  second.close();

  assert.deepEqual(await page.evaluate(() => window.joined), [false, true]);
  assert.deepEqual(await page.evaluate(() => window.tracks), [title, next]);
  assert.equal(await page.evaluate(() => window.ended), false);
  await page.close();
});

// Runs in the page: listens, and does nothing to come back.
function listen(url) {
  Object.assign(window, { opened: 0, ended: false, joined: [], tracks: [] });
  const source = new EventSource(url);
  source.onopen = () => (window.opened += 1);
  source.onerror = () => (window.ended ||= source.readyState === EventSource.CLOSED);
  source.onmessage = ({ data }) => window.tracks.push(JSON.parse(data).message.track);
  source.addEventListener('joined', ({ data }) => {
    window.joined.push(JSON.parse(data).recovered);
  });
}
