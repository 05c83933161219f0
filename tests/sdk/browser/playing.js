// What a test of the page stands on: a server of its own with a studio, and tabs
// that show its page or widget, watched for whatever a browser complains of.
// Knows the places of the page, not what has to stand there.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { Feed } from '../documents.js';
import { Server } from '../server.js';
import { DEADLINE_MS, Site } from './site.js';

// Where the page and the widget are.
export const PATHS = ['/', '/embed'];

// Where a tab hears what is on.
export const NOW_PLAYING = '**/events/metadata/now-playing*';

// Every wait inside has a shorter deadline of its own: this ends a hang.
const TEST_MS = 6 * DEADLINE_MS;

let site;

before(async () => {
  site = await Site.open();
});

after(() => site?.close());

// A test with a server of its own, with these flags more or started otherwise;
// `body` is given a stage.
export function played(title, body, { flags = [], start = () => Server.start({ flags }) } = {}) {
  test(title, { timeout: TEST_MS }, async (t) => {
    const server = await start();
    const stage = new Stage(server, server.zettaPort && (await Feed.connect(server.zettaPort)));
    try {
      await body(stage);
      stage.hasNoComplaints();
    } catch (error) {
      t.diagnostic(`the server logged:\n${server.log}`);
      throw error;
    } finally {
      await stage.end();
    }
  });
}

// A moment so many seconds ago, as the studio writes it: in whole ones.
export function ago(seconds) {
  return new Date((Math.floor(Date.now() / 1_000) - seconds) * 1_000);
}

// Waits until the place says this, all of it.
export function says(tab, id, text) {
  return tab.locator(`#${id}`).and(tab.getByText(text, { exact: true })).waitFor();
}

// The titles of the list.
export function listed(tab) {
  return tab.locator('#songs li p:first-of-type').allInnerTexts();
}

class Stage {
  #tabs = [];
  #complaints = [];
  #expected = [];

  constructor(server, feed) {
    this.server = server;
    this.feed = feed;
  }

  get site() {
    return site;
  }

  // A tab that shows a path of the server. `routes` are answers in the place of
  // the server's, by what is asked for; `clock`, whether its time can be put on.
  async tab(path = '/', { routes = {}, clock = false, ...options } = {}) {
    const tab = await site.tab(options);
    if (clock) {
      await tab.clock.install();
    }
    this.#tabs.push(tab);
    tab.on('pageerror', (error) => this.#complaints.push(String(error)));
    tab.on('console', (message) => {
      this.#complaints.push(`${message.text()} ${message.location().url}`);
    });
    tab.on('request', (request) => {
      if (!request.url().startsWith(`${this.server.url}/`)) {
        this.#complaints.push(`it asks for ${request.url()}`);
      }
    });
    for (const [pattern, answer] of Object.entries(routes)) {
      await tab.route(pattern, (route) => route.fulfill(answer));
    }
    await tab.goto(this.server.url + path);
    return tab;
  }

  // A tab that has connected.
  async liveTab(path, options) {
    const tab = await this.tab(path, options);
    await says(tab, 'state', 'Live');
    return tab;
  }

  // What the browser says of this is no fault.
  expect(pattern) {
    this.#expected.push(pattern);
  }

  async restart() {
    await this.server.run();
    this.feed.close();
    this.feed = await Feed.connect(this.server.zettaPort);
  }

  // Waits until the server has so many clients.
  async hasClients(expected) {
    const until = performance.now() + DEADLINE_MS;
    for (;;) {
      const { clients } = await (await fetch(`${this.server.url}/health`)).json();
      if (clients === expected) {
        return;
      }
      assert.ok(performance.now() < until, `there are ${clients} clients`);
    }
  }

  hasNoComplaints() {
    const isExpected = (text) => this.#expected.some((pattern) => pattern.test(text));
    const complaints = this.#complaints.filter((text) => !isExpected(text));
    assert.deepEqual(complaints, []);
  }

  async end() {
    await Promise.all(this.#tabs.map((tab) => tab.close()));
    this.feed?.close();
    await this.server.end();
  }
}
