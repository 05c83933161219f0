// A listener of server-sent events by plain HTTP: the blocks as they come.
// Every wait has a deadline.

import { once } from 'node:events';
import http from 'node:http';

import { DEADLINE_MS, within } from '../client.js';

export class Stream {
  #request;
  #blocks;
  headers;

  static async open(port, target, headers = {}) {
    const stream = new Stream();
    const signal = AbortSignal.timeout(DEADLINE_MS);
    const asked = { host: '127.0.0.1', port, path: target, headers, agent: false };
    stream.#request = http.get(asked);
    stream.#request.on('error', () => {});
    const [response] = await once(stream.#request, 'response', { signal });
    stream.headers = response.headers;
    stream.#blocks = blocks(response.setEncoding('utf8'));
    return stream;
  }

  // The next block that has data: `{ id, event, data }`.
  async next() {
    const { value } = await within(this.#blocks.next(), 'a server-sent event');
    return value;
  }

  close() {
    this.#request.destroy();
  }
}

async function* blocks(response) {
  let text = '';
  let id;
  for await (const piece of response) {
    const parts = (text + piece).split('\n\n');
    text = parts.pop();
    for (const part of parts) {
      const fields = new Map(part.split('\n').map((line) => line.split(/: ?(.*)/s, 2)));
      id = fields.get('id') ?? id;
      if (fields.has('data')) {
        yield { id, event: fields.get('event'), data: JSON.parse(fields.get('data')) };
      }
    }
  }
}
