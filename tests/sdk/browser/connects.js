// Pages of another origin connect to the server with the SDKs as they are: in
// every way that these can, and only where --cors-origin lets them.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { Server } from './server.js';
import { DEADLINE_MS, Site, VERSIONS } from './site.js';

const OWN_HEADER = { polling: { extraHeaders: { 'x-own': '1' } } };

// What the SDK is told, and what it is on in the end.
const WAYS = [
  { name: 'polling, then an upgrade', options: {}, transport: 'websocket' },
  { name: 'polling', options: { transports: ['polling'] }, transport: 'polling' },
  {
    // Which a browser asks for first.
    name: 'polling with a header of its own',
    options: { transports: ['polling'], transportOptions: OWN_HEADER },
    transport: 'polling',
  },
  { name: 'websocket', options: { transports: ['websocket'] }, transport: 'websocket' },
];

// Besides the site's own, so that there is one to choose.
const ELSEWHERE = 'https://elsewhere.example';

// What a developer is shown of a refusal, in the console and the network tab.
const REFUSED = {
  websocket: (page) => [logged(page, /WebSocket.*Unexpected response code: 403/)],
  polling: (page, network) => [logged(page, /blocked by CORS policy/), answered(network, 403)],
};

let site;
const servers = {};

before(async () => {
  site = await Site.open();
  servers['any origin'] = await Server.start();
  const listed = ['--cors-origin', ELSEWHERE, '--cors-origin', site.origin];
  servers['the origin is listed'] = await Server.start(...listed);
  servers['another origin is listed'] = await Server.start('--cors-origin', ELSEWHERE);
});

after(async () => {
  await site?.close();
  await Promise.all(Object.values(servers).map((server) => server.end()));
});

for (const version of Object.keys(VERSIONS)) {
  for (const { name, options, transport } of WAYS) {
    for (const listed of ['any origin', 'the origin is listed']) {
      test(`version ${version}, ${name}: ${listed}`, { timeout: 4 * DEADLINE_MS }, async () => {
        const server = servers[listed];
        const page = await site.page(version);
        const room = `${version} ${name}`.replaceAll(/\W/g, '-');
        const joined = await page.evaluate(join, { url: server.url, options, room, transport });
        assert.equal(joined.ack?.status, 'ok', JSON.stringify(joined));
        assert.equal(joined.transport, transport);
        await server.publish(room, { text: 'hello' });
        const event = await page.evaluate(() => window.heard);
        assert.deepEqual(event.message, { text: 'hello' });
        assert.equal(event.sender, 'POST');
        await page.close();
      });
    }

    const refused = `version ${version}, ${name}: another origin is listed`;
    test(refused, { timeout: 4 * DEADLINE_MS }, async () => {
      const { url } = servers['another origin is listed'];
      const page = await site.page(version);
      const network = await page.context().newCDPSession(page);
      await network.send('Network.enable');
      const [first] = options.transports ?? ['polling'];
      const [told] = await Promise.all([
        page.evaluate(join, { url, options, room: 'r', transport }),
        ...REFUSED[first](page, network),
      ]);
      assert.ok(told.refused, 'it has connected');
      await page.close();
    });
  }
}

function logged(page, pattern) {
  return page.waitForEvent('console', (message) => pattern.test(message.text()));
}

// The page itself is not told the status of what it may not read.
function answered(network, status) {
  return new Promise((resolve) => {
    const look = ({ statusCode }) => statusCode === status && resolve();
    network.on('Network.responseReceivedExtraInfo', look);
  });
}

// Runs in the page: joins a room, and waits for the transport.
function join({ url, options, room, transport }) {
  const socket = window.io(`${url}/bus`, { ...options, reconnection: false });
  window.heard = new Promise((heard) => socket.once('EVENT', heard));
  return new Promise((done) => {
    const refused = (error) => done({ refused: String(error.message ?? error) });
    socket.on('connect_error', refused);
    socket.on('connect', () => {
      const { engine } = socket.io;
      const ask = () => {
        socket.emit('JOIN', { room, name: 'page' }, (ack) => {
          done({ ack, transport: engine.transport.name });
        });
      };
      if (engine.transport.name === transport) {
        ask();
      } else {
        engine.once('upgrade', ask);
      }
    });
  });
}
