// What a page of another origin hears without any SDK: by the browser's own
// EventSource, which comes back by itself, and by a plain WebSocket.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { Server } from './server.js';
import { Site } from './site.js';

let site;
const servers = {};

before(async () => {
  site = await Site.open();
  servers.any = await Server.start();
  servers.other = await Server.start('--cors-origin', 'https://elsewhere.example');
});

after(async () => {
  await site?.close();
  await Promise.all(Object.values(servers).map((server) => server.end()));
});

// How a page listens to the room `r` of /bus; it says so when it is there.
const WAYS = {
  EventSource: (url) => {
    window.heard = [];
    const source = new EventSource(`${url}/events/bus/r`);
    source.addEventListener('joined', () => (window.state = 'there'));
    source.onmessage = ({ data }) => window.heard.push(JSON.parse(data).message);
    source.onerror = () => (window.state = 'refused');
  },
  WebSocket: (url) => {
    window.heard = [];
    const socket = new WebSocket(`${url.replace('http', 'ws')}/api/?target=bus&room=r`);
    // The room is joined behind the answer: the page's own event shows when.
    socket.onopen = () => (window.state = 'there');
    socket.onmessage = ({ data }) => window.heard.push(JSON.parse(data).message);
    socket.onerror = () => (window.state = 'refused');
  },
};

for (const [name, listen] of Object.entries(WAYS)) {
  test(`${name} hears what is published`, async () => {
    const page = await site.page(4);
    await page.evaluate(listen, servers.any.url);
    await page.waitForFunction(() => window.state === 'there');
    let number = 0;
    do {
      await servers.any.publish('r', { number: (number += 1) });
    } while (!(await page.evaluate(() => window.heard.length)) && number < 1000);
    const [first] = await page.evaluate(() => window.heard);
    for (let more = 0; more < 20; more += 1) {
      await servers.any.publish('r', { number: (number += 1) });
    }
    await page.waitForFunction((last) => window.heard.at(-1)?.number === last, number);
    const heard = await page.evaluate(() => window.heard.map(({ number }) => number));
    const expected = Array.from({ length: heard.length }, (_, at) => first.number + at);
    assert.deepEqual(heard, expected);
    await page.close();
  });

  test(`${name} of a page that is not let in hears nothing`, async () => {
    const page = await site.page(4);
    await page.evaluate(listen, servers.other.url);
    await page.waitForFunction(() => window.state === 'refused');
    await page.close();
  });
}
