// What a test of the push door's client stands on: a server with channels that
// survive it, a network that can be cut, and pages of another origin with
// `pushserver.js`. Knows what backends send, not what a page has to hear.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { Proxy } from '../proxy.js';
import { freePort, Server } from '../server.js';
import { DEADLINE_MS, Site } from './site.js';

// Every wait inside has a shorter deadline of its own: this ends a hang.
const TEST_MS = 6 * DEADLINE_MS;

let site;

before(async () => {
  site = await Site.open();
});

after(() => site?.close());

// A test with a server of its own; `body` is given a stage.
export function pushed(title, body) {
  test(title, { timeout: TEST_MS }, async (t) => {
    const stage = await Stage.set();
    try {
      await body(stage);
      assert.deepEqual(stage.errors, []);
    } catch (error) {
      t.diagnostic(`the server logged:\n${stage.server.log}`);
      throw error;
    } finally {
      await stage.end();
    }
  });
}

class Stage {
  #pages = [];
  #tokens = new Map();
  // What was thrown in pages and caught by nobody.
  errors = [];

  static async set() {
    const stage = new Stage();
    stage.http = await freePort();
    const ws = await freePort();
    const flags = ['--push', '--push-http', `127.0.0.1:${stage.http}`];
    stage.server = await Server.start({ flags: [...flags, '--push-ws', `127.0.0.1:${ws}`] });
    stage.network = await Proxy.listen(await freePort(), ws);
    return stage;
  }

  // Where pages connect.
  get url() {
    return `ws://127.0.0.1:${this.network.port}/any/path`;
  }

  // Creates a channel and pushes this: who subscribes hears it at once.
  async channel(channel, first) {
    const data = { channel, retain: true };
    const created = await this.#ask('/channel/create', 'CREATE_CHANNEL', data);
    this.#tokens.set(channel, created.data.channelToken);
    await this.push(channel, first);
  }

  // Pushes a string as such, and whatever else as JSON.
  async push(channel, message, recipients = []) {
    const said = typeof message === 'string' ? { message } : { messageJson: message };
    const channelToken = this.#tokens.get(channel);
    const data = { channel, channelToken, recipients, ...said };
    await this.#ask('/push', 'PUSH_MESSAGE', data);
  }

  async delete(channel) {
    const data = { channel, channelToken: this.#tokens.get(channel) };
    await this.#ask('/channel/delete', 'DELETE_CHANNEL', data);
  }

  // A page that has the client and has not used it; `clock`, whether its time can
  // be put on.
  async page({ clock = false } = {}) {
    const page = await site.page(4);
    if (clock) {
      await page.clock.install();
    }
    this.#pages.push(page);
    page.on('pageerror', (error) => this.errors.push(String(error)));
    page.sockets = 0;
    page.on('websocket', () => (page.sockets += 1));
    await page.addScriptTag({ url: `http://127.0.0.1:${this.http}/js/pushserver.js` });
    return page;
  }

  // A page that uses it, and has heard what was pushed last in these channels.
  async listening(channels, options) {
    const page = await this.page(options);
    await page.evaluate(listen, { url: this.url, channels: Object.keys(channels) });
    await hears(page, ...Object.entries(channels));
    return page;
  }

  async end() {
    await Promise.all(this.#pages.map((page) => page.close()));
    this.network.close();
    await this.server.end();
  }

  async #ask(path, action, data) {
    const body = JSON.stringify({ messageType: 'SERVER_ACTION', action, data });
    const answer = await fetch(`http://127.0.0.1:${this.http}${path}`, { method: 'POST', body });
    const said = await answer.json();
    assert.equal(answer.status, 200, JSON.stringify(said));
    return said;
  }
}

// Waits until the page has heard as much, since it was asked the last time, and
// compares.
export async function hears(page, ...expected) {
  const many = expected.length;
  await page.waitForFunction((many) => window.heard.length >= many, many);
  assert.deepEqual(await page.evaluate(() => window.heard.splice(0)), expected);
}

// Waits until the page is connected, or is not.
export function connected(page, is) {
  return page.waitForFunction((is) => (window.push.uuid !== null) === is, is);
}

// Runs in the page: subscribes before it can be connected.
function listen({ url, channels }) {
  Object.assign(window, { heard: [], refused: [], uuids: [] });
  window.push = new window.PushServer(url);
  window.push.onconnect = (uuid) => window.uuids.push(uuid);
  window.push.onerror = (error) => window.refused.push(error);
  window.subscribe = (channel) => {
    window.push.subscribe(channel, (message) => window.heard.push([channel, message]));
  };
  channels.forEach(window.subscribe);
}
