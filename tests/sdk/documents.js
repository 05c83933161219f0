// ZettaLite documents as the studio sends them, and the connection they come by.
// Knows the format and no server.

import net from 'node:net';
import { once } from 'node:events';

// When the first item of a run starts: a week ago, so that no start of the run
// is ahead of the server's clock.
let nextStart = Math.floor(Date.now() / 1000) * 1000 - 7 * 24 * 3_600_000;

// No two items of a run are closer: starts within 10 s can be one item.
const APART = 11_000;

let nextId = 1_370_785;

// One item that is on now. `start` is a Date, `length` in seconds; what is not
// given is unlike every other document of the run, and starts later.
export function item(given = {}) {
  const id = given.id ?? nextId++;
  const start = given.start ?? new Date((nextStart += APART));
  return {
    id,
    start,
    type: 'SONG',
    status: 'CURRENT',
    title: `Title ${id}`,
    artist: `Artist ${id}`,
    album: `Album ${id}`,
    length: 257.92,
    ...given,
  };
}

// The document for an item, and for those that come behind it.
export function doc(...items) {
  return `<?xml version="1.0" encoding="utf-8"?>
<ZettaLite Version="0.0.0">
<LogEventCollection>
${items.map(logEvent).join('\n')}
</LogEventCollection>
</ZettaLite>
`;
}

function logEvent({ id, start, type, status, title, artist, album, length }) {
  const at = start.toISOString().replace('.000Z', 'Z');
  return `<LogEvent
    Type="${type}"
    ScheduledTime="${at}"
    StartTime="${at}"
    StartTimeLocal="7/9/2024 4:00:35 PM"
    Chain="INVALID"
    Status="${status}"
    Duration="04:17"
    EditCode="SEQUENCER_INSERT_FILL"
    LastStarted="${status === 'CURRENT'}"
    ZettaId="${id}"
    >
    <Asset
        Type="${type}"
        AssetTypeName="${type}"
        Title="${escaped(title)}"
        Comment="None"
        ZettaId="135023"
        ThirdPartyId="${escaped(title)}"
        File="\\\\STUDIO\\Audio\\${id}.mp3"
        TotalLength="${length}"
        Artist1="${escaped(artist)}"
        Album1="${escaped(album)}"
        Category="ROT"
        TrimIn="0"
        TrimOut="${length}" />
</LogEvent>`;
}

// The studio's connection to the server; stays open between documents.
export class Feed {
  #socket;

  static async connect(port) {
    const feed = new Feed();
    feed.#socket = net.connect({ host: '127.0.0.1', port, noDelay: true });
    // What ends the connection shows in what the listeners do not get.
    feed.#socket.on('error', () => {});
    await once(feed.#socket, 'connect');
    return feed;
  }

  // Puts an item on air and gives it back; says what comes behind it, if that is
  // given.
  play(given, next) {
    const playing = item(given);
    const coming = next && item({ status: 'READY', ...next });
    this.#socket.write(doc(...[playing, coming].filter(Boolean)));
    return playing;
  }

  close() {
    this.#socket.destroy();
  }
}

function escaped(text) {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('"', '&quot;');
}
