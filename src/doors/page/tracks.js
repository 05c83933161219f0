// What is known of the tracks: what is on, what comes next, the last songs, and
// how late it is by the server's clock. Knows neither connections nor the page.

// How many songs are listed besides the one that is on.
export const LISTED = 25;

// How long behind its end a song may still be on: what the studio says may be
// late. The server gives an item as long before it believes an older one.
const GRACE_MS = 60_000;

// For how long an item of unknown length is believed to be on or to come: longer
// than all but a few.
const UNKNOWN_MS = 15 * 60_000;

export class Tracks {
  #clock = new Clock();
  #now = null;
  #next = null;
  // By their starts; also the one that is on.
  #songs = new Map();
  // Starts of what was heard since the list was asked for.
  #heard = new Set();

  // The server's time at which a room was joined.
  joined(time) {
    this.#clock.set(time);
  }

  // An event of the room `now-playing`. A page that joins also receives the last song: its
  // `current` is false if another item is on air.
  on({ message, time, current }) {
    this.#clock.atLeast(time);
    const track = trackOf(message);
    if (!track) {
      return;
    }
    if (track.isSong) {
      this.#songs.set(track.start, track);
    } else {
      // What was told to be a song, and was none.
      this.#songs.delete(track.start);
    }
    this.#heard.add(track.start);
    if (current !== false) {
      this.#now = track;
    }
    this.#forget();
  }

  // An event of the room `next`.
  comes({ message, time }) {
    this.#clock.atLeast(time);
    this.#next = trackOf(message);
  }

  // The list is being asked for: what is heard from now on is newer.
  asked() {
    this.#heard.clear();
  }

  // The server's list, the newest first. It is right for its span of time; what
  // is older or newer is known from having heard it.
  listed(messages) {
    const songs = messages.map(trackOf).filter(Boolean);
    const [newest, oldest] = [songs.at(0)?.start, songs.at(-1)?.start];
    for (const start of this.#songs.keys()) {
      if (start >= oldest && start <= newest && !this.#heard.has(start)) {
        this.#songs.delete(start);
      }
    }
    for (const song of songs) {
      if (!this.#heard.has(song.start)) {
        this.#songs.set(song.start, song);
      }
    }
    this.#forget();
  }

  // What can be said at this moment: the `track`, if any; `stale` where the server
  // itself has not heard of one for long; how far it is, in milliseconds, up to
  // its length; and `over` where it can't be on any more.
  get now() {
    const track = this.#now;
    if (!track || track.stale) {
      return { track: null, stale: Boolean(track) };
    }
    const { start, length } = track;
    const elapsed = Math.max(0, this.#clock.now() - start);
    const over = elapsed > (length || UNKNOWN_MS) + GRACE_MS;
    return { track, stale: false, over, elapsed: Math.min(elapsed, length) };
  }

  // What comes next, unless it is on already, or must have been.
  get next() {
    const [now, next] = [this.#now, this.#next];
    if (!next || next.stale || now?.stale) {
      return null;
    }
    const begun = now && now.start >= next.start;
    const same = now && now.title === next.title && now.artist === next.artist;
    const end = next.start + (next.length || UNKNOWN_MS) + GRACE_MS;
    return begun || same || this.#clock.now() > end ? null : next;
  }

  // The songs before what is on, the newest first.
  get last() {
    const songs = this.#sorted().filter(({ start }) => start !== this.#now?.start);
    return songs.slice(0, LISTED);
  }

  #forget() {
    // One more than are listed: it may be the one that is on.
    for (const { start } of this.#sorted().slice(LISTED + 1)) {
      this.#songs.delete(start);
    }
  }

  #sorted() {
    return [...this.#songs.values()].sort((a, b) => b.start - a.start);
  }
}

// A track in the page's words; null for what is none: a backend can publish
// anything.
function trackOf(message) {
  const { track, artist, album, type, length, timestampUTC, endsAt, stale } = message ?? {};
  const start = Date.parse(timestampUTC);
  if (!stale && (!track || Number.isNaN(start))) {
    return null;
  }
  return {
    title: String(track),
    artist: String(artist ?? ''),
    album: String(album ?? ''),
    // Entries of the list have no type: all of them are songs.
    isSong: !stale && (type ?? 'SONG') === 'SONG',
    // `endsAt` is the end of the part that is played; `length` is that of the whole file.
    length: [Date.parse(endsAt) - start, length].find((known) => known > 0) ?? 0,
    start,
    stale: Boolean(stale),
  };
}

// The server's time. What it says is never ahead of it, and behind it by as long
// as it was under way: so the latest that was said is the closest.
class Clock {
  // Between the server's time and the page's own, which counts on evenly when
  // somebody sets the clock of the machine.
  #ahead = performance.timeOrigin;

  set(time) {
    this.#ahead = Date.parse(time) - performance.now();
  }

  atLeast(time) {
    this.#ahead = Math.max(this.#ahead, Date.parse(time) - performance.now());
  }

  now() {
    return performance.now() + this.#ahead;
  }
}
