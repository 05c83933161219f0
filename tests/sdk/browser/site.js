// A web site of its own origin with a page for each version of the SDK, and the
// browser in which they are opened. Knows no server but by its address.

import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import http from 'node:http';
import { createRequire } from 'node:module';
import path from 'node:path';

import { chromium } from 'playwright-core';

// The SDKs' own builds for pages: those of version 2 speak EIO 3.
export const VERSIONS = { 2: 'dist/socket.io.js', 4: 'dist/socket.io.min.js' };

// How long anything in a page may take.
export const DEADLINE_MS = 15_000;

export class Site {
  #browser;
  #http;
  origin;

  static async open() {
    const site = new Site();
    site.#browser = await chromium.launch({ executablePath: process.env.CHROMIUM });
    const scripts = new Map();
    for (const version of Object.keys(VERSIONS)) {
      scripts.set(`/sdk-${version}.js`, await sdk(version));
    }
    site.#http = http.createServer((request, response) => {
      const script = scripts.get(request.url);
      response.setHeader('content-type', script ? 'text/javascript' : 'text/html');
      const [, version] = /^\/page-(\d)$/.exec(request.url) ?? [];
      response.end(script ?? `<!doctype html><script src="/sdk-${version}.js"></script>`);
    });
    site.#http.listen(0, '127.0.0.1');
    await once(site.#http, 'listening');
    site.origin = `http://127.0.0.1:${site.#http.address().port}`;
    return site;
  }

  // An empty tab, in a profile of its own.
  async tab(options) {
    const tab = await this.#browser.newPage(options);
    tab.setDefaultTimeout(DEADLINE_MS);
    return tab;
  }

  // A page with the SDK of that version.
  async page(version) {
    const page = await this.tab();
    await page.goto(`${this.origin}/page-${version}`);
    return page;
  }

  async close() {
    await this.#browser?.close();
    this.#http.closeAllConnections();
    this.#http.close();
  }
}

async function sdk(version) {
  const name = `socket.io-client-${version}`;
  const folder = path.dirname(createRequire(import.meta.url).resolve(`${name}/package.json`));
  return readFile(path.join(folder, VERSIONS[version]));
}
