// The page and the widget: hears the rooms, keeps what is known, and has it shown.
// The only file that knows the others.

import { Source } from './source.js';
import { LISTED, Tracks } from './tracks.js';
import { showProgress, showState, showTracks } from './view.js';

// How long the page waits for more tracks before it shows one: a page that reconnects receives all
// tracks that it missed, and only the last one is on air.
const SETTLE_MS = 50;

// How often the progress is written.
const TICK_MS = 1_000;

// A connection can be dead without a word. That may be why nothing new comes when
// a song has run out: then it is made anew, by each tab at another time, since a
// studio that is silent is silent for all of them.
const DOUBT_MS = 10_000;

const THEMES = ['light', 'dark'];

let tracks = new Tracks();
let state = 'connecting';
let settling = 0;
// The start of the last one of which there was such a doubt.
let doubted = 0;

const nowPlaying = new Source('now-playing', {
  joined({ time }) {
    tracks.joined(time);
    list();
    show();
  },
  event(event) {
    tracks.on(event);
    show();
  },
  state(changed) {
    state = changed;
    if (state === 'missing') {
      // What was known before is nothing to go by any more.
      tracks = new Tracks();
    }
    showState(state);
    show();
  },
});

const next = new Source('next', {
  joined() {},
  event(event) {
    tracks.comes(event);
    show();
  },
  // The other room says how the connection is.
  state() {},
});

function show() {
  settling ||= setTimeout(() => {
    settling = 0;
    showTracks(tracks, state);
  }, SETTLE_MS);
}

// The songs before this page was opened, and while it was away.
async function list() {
  if (!document.getElementById('songs')) {
    return;
  }
  tracks.asked();
  try {
    // One more than are shown: it may be the one that is on.
    const url = `api/now-playing/history?limit=${LISTED + 1}`;
    // What is kept of it may be older than what was heard before.
    const answer = await fetch(url, { cache: 'no-cache' });
    if (answer.ok) {
      tracks.listed(await answer.json());
      show();
    }
  } catch {
    // The connection is gone; the list is asked for with the next one.
  }
}

function tick() {
  const { track, over } = tracks.now;
  if (over && track.start !== doubted) {
    doubted = track.start;
    setTimeout(() => nowPlaying.reopen(), Math.random() * DOUBT_MS);
  }
  if (!document.hidden) {
    showProgress(tracks);
  }
}

// A browser has six connections to a server, for all of its tabs: those that
// nobody looks at need one, for their title.
function seen() {
  if (document.hidden) {
    next.close();
  } else {
    next.open();
    showTracks(tracks, state);
  }
}

// What was open is gone when the network or the page itself comes back.
function back() {
  nowPlaying.reopen();
  next.close();
  seen();
}

const theme = new URLSearchParams(location.search).get('theme');
if (THEMES.includes(theme)) {
  document.documentElement.dataset.theme = theme;
}
document.addEventListener('visibilitychange', seen);
window.addEventListener('online', back);
window.addEventListener('pageshow', ({ persisted }) => persisted && back());
setInterval(tick, TICK_MS);
nowPlaying.open();
seen();
