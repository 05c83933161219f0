// What is known of the tracks, written into the places of the page or the widget:
// who has no such place does not show it. All of it as text, never as HTML.
// Knows nothing of where it comes from.

const STATES = {
  connecting: 'Connecting',
  live: 'Live',
  away: 'Reconnecting',
  missing: 'Not available',
};

const ON_AIR = 'On air';
const SILENT = 'Nothing known';
const BY_ITSELF = 'The next track shows here by itself.';

// What stands in the place of a track, and below it.
const NOTHING = {
  connecting: ['', ''],
  live: [SILENT, `Nothing was heard from the studio yet. ${BY_ITSELF}`],
  stale: [SILENT, `Nothing was heard from the studio for a while. ${BY_ITSELF}`],
  away: ['', 'The connection is tried again by itself.'],
  missing: [
    'Nothing to show here',
    'This server does not say what is playing: it has no room now-playing in /metadata.',
  ],
};

// In what steps a screen reader is told how far a song is, in seconds: some say
// or sound each change.
const SPOKEN_STEP = 15;

const HOURS = new Intl.DateTimeFormat(undefined, { hour: 'numeric', minute: '2-digit' });
const DAYS = new Intl.DateTimeFormat(undefined, { weekday: 'short' });

// How the connection is: one of STATES.
export function showState(state) {
  put('state', STATES[state]);
  place('state').dataset.state = state;
}

// What is on, what comes next and the last songs.
export function showTracks(tracks, state) {
  const { track, stale } = tracks.now;
  const [title, note] = track ? [track.title, ''] : NOTHING[stale ? 'stale' : state];
  const artist = track?.artist ?? '';
  put('title', title);
  put('artist', artist);
  put('album', track?.album ?? '');
  put('note', note);
  document.title = [track?.title ?? ON_AIR, artist].filter(Boolean).join(' \u2013 ');
  moment(place('start'), track);
  const next = tracks.next;
  hide('next', !next);
  put('next-title', next?.title ?? '');
  put('next-artist', next?.artist ?? '');
  showSongs(tracks.last);
  showProgress(tracks);
}

// What changes with the time alone.
export function showProgress(tracks) {
  const { track, over, elapsed } = tracks.now;
  const length = track?.length;
  put('heading', over ? 'Last heard' : ON_AIR);
  hide('since', !track || over);
  hide('next', !tracks.next);
  const known = Boolean(track && length && !over);
  hide('progress', !known);
  if (!known) {
    return;
  }
  put('elapsed', clock(elapsed));
  put('length', clock(length));
  place('done').style.transform = `scaleX(${elapsed / length})`;
  const whole = Math.round(length / 1000);
  const seconds = Math.floor(elapsed / 1000);
  const spoken = elapsed < length ? seconds - (seconds % SPOKEN_STEP) : whole;
  const text = `${clock(spoken * 1000)} of ${clock(length)}`;
  const bar = place('bar');
  if (bar.ariaValueText !== text) {
    bar.ariaValueMax = String(whole);
    bar.ariaValueNow = String(spoken);
    bar.ariaValueText = text;
  }
}

function showSongs(songs) {
  const list = place('songs');
  if (!list) {
    return;
  }
  hide('none', songs.length > 0);
  songs.forEach((song, at) => {
    const entry = list.children[at] ?? list.appendChild(newEntry());
    const [time, title, artist] = entry.children;
    moment(time, song);
    write(title, song.title);
    write(artist, song.artist);
  });
  while (list.children.length > songs.length) {
    list.lastElementChild.remove();
  }
}

function newEntry() {
  const entry = document.createElement('li');
  for (const name of ['time', 'p', 'p']) {
    const part = entry.appendChild(document.createElement(name));
    part.dir = 'auto';
  }
  return entry;
}

// A start, by the reader's own clock; with its day if that is not today.
function moment(element, track) {
  if (!element || !track) {
    return;
  }
  const start = new Date(track.start);
  const today = start.toDateString() === new Date().toDateString();
  element.dateTime = start.toISOString();
  write(element, today ? HOURS.format(start) : `${DAYS.format(start)} ${HOURS.format(start)}`);
}

// Milliseconds as minutes and seconds, with hours where there are any.
function clock(duration) {
  const seconds = Math.floor(duration / 1000);
  const parts = [Math.floor(seconds / 60) % 60, seconds % 60];
  const hours = Math.floor(seconds / 3600);
  const [first, ...rest] = hours ? [hours, ...parts] : parts;
  return [first, ...rest.map((part) => String(part).padStart(2, '0'))].join(':');
}

function put(id, text) {
  const element = place(id);
  if (element) {
    write(element, text);
    element.hidden = !text;
  }
}

function hide(id, hidden) {
  const element = place(id);
  if (element) {
    element.hidden = hidden;
  }
}

// A screen reader says again what is written again.
function write(element, text) {
  if (element.textContent !== text) {
    element.textContent = text;
  }
}

function place(id) {
  return document.getElementById(id);
}
