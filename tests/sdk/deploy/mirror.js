// What stands behind nginx where a test wants to see what comes through: a server
// that answers every request with 200 and what it was sent.

import { once } from 'node:events';
import http from 'node:http';

import { DEADLINE_MS } from '../client.js';

// Longer than nginx leaves uncompressed.
const LONG = 4096;

export class Mirror {
  #http;
  #streams = [];
  port;

  static async start() {
    const mirror = new Mirror();
    mirror.#http = http.createServer((request, response) => {
      const { method, url, headers } = request;
      const [, folder] = url.split('/');
      if (folder === 'events') {
        // Without a word on buffering, and without an end.
        response.setHeader('content-type', 'text/event-stream');
        response.flushHeaders();
        mirror.#streams.push(response);
        return;
      }
      response.setHeader('content-type', folder === 'page' ? 'text/html' : 'application/json');
      const answer = JSON.stringify({ method, url, headers });
      response.end(folder === 'page' ? answer.padEnd(LONG) : answer);
      request.resume();
    });
    mirror.#http.listen(0, '127.0.0.1');
    await once(mirror.#http, 'listening');
    mirror.port = mirror.#http.address().port;
    return mirror;
  }

  // Writes to all that listen to events.
  say(text) {
    for (const stream of this.#streams) {
      stream.write(text);
    }
  }

  close() {
    this.#http.closeAllConnections();
    this.#http.close();
  }
}

// One request of its own connection, with the target as it is given:
// `{ status, headers, body }`, or an error after the deadline.
export async function ask(port, target, { method = 'GET', headers = {}, body, from } = {}) {
  const asked = { host: '127.0.0.1', port, method, path: target, headers, agent: false };
  const signal = AbortSignal.timeout(DEADLINE_MS);
  const request = http.request({ ...asked, localAddress: from, signal });
  request.end(body);
  const [response] = await once(request, 'response');
  let text = '';
  for await (const piece of response.setEncoding('utf8')) {
    text += piece;
  }
  return { status: response.statusCode, headers: response.headers, body: text };
}
