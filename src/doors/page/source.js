// A room of /metadata, listened to for as long as the page is open. The browser
// comes back by itself where the connection breaks; here is what it does not do.
// Knows no track.

// After how long to ask again where the browser gives up, since it got an answer
// that is no stream (from a proxy, while the server is away). As the server has
// browsers wait: so much, and up to so much more by chance.
const AGAIN_MS = 1_000;
const AGAIN_JITTER_MS = 4_000;

// The same where there is no such room: that changes when somebody changes it.
const MISSING_AGAIN_MS = 60_000;

// What the server answers where there is no such room, or none to listen to.
const MISSING = [403, 404];

export class Source {
  #url;
  #told;
  #stream = null;
  #lastId = '';
  #timer = 0;

  // `told.joined` gets what the server says at the beginning, `told.event` each
  // event, `told.state` whether the room is `live`, `away` or `missing`.
  constructor(room, told) {
    this.#url = `events/metadata/${room}`;
    this.#told = told;
  }

  open() {
    clearTimeout(this.#timer);
    if (this.#stream) {
      return;
    }
    const since = this.#lastId && `?last_event_id=${encodeURIComponent(this.#lastId)}`;
    const stream = new EventSource(this.#url + since);
    this.#stream = stream;
    stream.addEventListener('joined', ({ data }) => {
      this.#told.state('live');
      this.#told.joined(JSON.parse(data));
    });
    stream.addEventListener('message', ({ data, lastEventId }) => {
      this.#lastId = lastEventId;
      this.#told.event(JSON.parse(data));
    });
    stream.addEventListener('error', () => {
      if (stream.readyState === EventSource.CLOSED) {
        this.#refused(stream);
      } else {
        this.#told.state('away');
      }
    });
  }

  close() {
    clearTimeout(this.#timer);
    this.#stream?.close();
    this.#stream = null;
  }

  // For a connection that may be dead without a word.
  reopen() {
    this.close();
    this.open();
  }

  async #refused(stream) {
    const missing = MISSING.includes(await statusOf(this.#url));
    // It may have been closed or opened anew in the meantime.
    if (this.#stream !== stream) {
      return;
    }
    this.close();
    this.#told.state(missing ? 'missing' : 'away');
    const soon = AGAIN_MS + Math.random() * AGAIN_JITTER_MS;
    this.#timer = setTimeout(() => this.open(), missing ? MISSING_AGAIN_MS : soon);
  }
}

// What an EventSource does not say: the status of the answer; 0 for none.
async function statusOf(url) {
  const ended = new AbortController();
  try {
    return (await fetch(url, { signal: ended.signal })).status;
  } catch {
    return 0;
  } finally {
    ended.abort();
  }
}
