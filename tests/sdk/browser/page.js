// The page `/` and the widget `/embed`, each in a tab of Chromium: what they show
// of what the studio says, at once and by the server's clock.

import assert from 'node:assert/strict';

import { ago, listed, NOW_PLAYING, PATHS, played, says } from './playing.js';

const STATION = 'The station';
const NAMED = { flags: ['--station-text', STATION] };

// How soon a listener sees what the studio has said, in milliseconds.
const SOON = 1_000;

// The titles of the list, once it has come and there are so many.
async function settled(tab, many) {
  await tab.locator('#songs li').nth(many - 1).waitFor();
  return listed(tab);
}

for (const target of PATHS) {
  played(`${target} shows a document within a second`, async (stage) => {
    const tab = await stage.liveTab(target);
    await says(tab, 'title', 'Nothing known');
    for (const title of ['First', 'Second']) {
      const since = performance.now();
      stage.feed.play({ title, artist: 'Somebody', start: ago(30) });
      await says(tab, 'title', title);
      const took = performance.now() - since;
      assert.ok(took < SOON, `${title} took ${took} ms`);
      await says(tab, 'artist', 'Somebody');
      assert.equal(await tab.title(), `${title} \u2013 Somebody`);
    }
  });

  played(`${target} shows the text of a title, whatever it is`, async (stage) => {
    const html = '<img src=x onerror="document.title=1"><b>&amp;\'"';
    const titles = [html, '\u05e9\u05dc\u05d5\u05dd', 'a'.repeat(300), `\u200f${html}`];
    const tab = await stage.liveTab(target);
    for (const title of titles) {
      const next = { title: `${title} next`, start: ago(-300) };
      stage.feed.play({ title, artist: title, album: title, start: ago(60) }, next);
      for (const id of target === '/' ? ['title', 'artist', 'album'] : ['title', 'artist']) {
        await says(tab, id, title);
      }
      await says(tab, 'next-title', `${title} next`);
    }
    assert.equal(await tab.locator('img, b').count(), 0);
    for (const [title, direction] of [[titles[1], 'rtl'], ['a', 'ltr']]) {
      stage.feed.play({ title, start: ago(30) });
      await says(tab, 'title', title);
      const found = tab.locator('#title').evaluate((place) => getComputedStyle(place).direction);
      assert.equal(await found, direction);
    }
  });
}

played('what is no song is the station\'s text, and the last song is listed', async (stage) => {
  const tab = await stage.liveTab();
  const start = ago(30);
  stage.feed.play({ title: 'A song', artist: 'Somebody', start: ago(90) });
  stage.feed.play({ type: 'SPOT', title: 'Buy soap', artist: 'Soap Inc', start });
  await says(tab, 'title', STATION);
  assert.equal(await tab.title(), STATION);
  assert.deepEqual(await listed(tab), ['A song']);
  assert.doesNotMatch(await tab.content(), /soap/i);
  // Who comes now is told both.
  const later = await stage.liveTab();
  await says(later, 'title', STATION);
  assert.deepEqual(await settled(later, 1), ['A song']);
}, NAMED);

played('songs are listed once, as they were told last', async (stage) => {
  const tab = await stage.liveTab();
  const [first, second] = [{ id: 1, start: ago(300) }, { id: 2, start: ago(60) }];
  const told = [
    [{ ...first, title: 'Frist' }, []],
    [{ ...first, title: 'First' }, []],
    [{ ...second, title: 'Second' }, ['First']],
    [{ ...second, title: '2nd' }, ['First']],
    // It was none.
    [{ ...second, type: 'SPOT' }, ['First']],
    [{ id: 3, title: 'Third', start: ago(30) }, ['First']],
    [{ id: 4, title: 'Fourth', start: ago(20) }, ['Third', 'First']],
  ];
  for (const [given, expected] of told) {
    stage.feed.play(given);
    await says(tab, 'title', given.type ? STATION : given.title);
    assert.deepEqual(await listed(tab), expected, JSON.stringify(given));
  }
  const later = await stage.liveTab();
  await says(later, 'title', 'Fourth');
  assert.deepEqual(await settled(later, 2), ['Third', 'First']);
}, NAMED);

played('the last 25 are listed, also for who comes later', async (stage) => {
  const tab = await stage.liveTab();
  const titles = Array.from({ length: 30 }, (_, at) => `Song ${at}`);
  titles.forEach((title, at) => stage.feed.play({ title, start: ago(3_000 - 100 * at) }));
  const expected = titles.slice(4, 29).reverse();
  for (const watching of [tab, await stage.liveTab()]) {
    await says(watching, 'title', 'Song 29');
    assert.deepEqual(await settled(watching, 25), expected);
  }
});

played('what comes next is shown until it is on', async (stage) => {
  const tab = await stage.liveTab();
  const next = tab.getByRole('region', { name: 'Next' });
  assert.equal(await next.count(), 0);
  const coming = { id: 7, title: 'Coming', artist: 'Somebody', start: ago(-60) };
  stage.feed.play({ title: 'On', start: ago(30) }, coming);
  await next.getByText('Coming').waitFor();
  await next.getByText('Somebody').waitFor();
  // Earlier than it was to be.
  stage.feed.play({ ...coming, start: ago(0) });
  await says(tab, 'title', 'Coming');
  await next.waitFor({ state: 'detached' });
});

// The server's clock, far from the tab's own: what is shown goes by the former.
const AHEAD_MS = 3_600_000;
const serverTime = () => new Date(Date.now() + AHEAD_MS).toISOString();

// A stream that tells these messages, and then no more.
function stream(...messages) {
  const time = serverTime();
  const joined = { event: 'joined', data: { room: 'now-playing', time } };
  const events = messages.map((message) => ({ event: 'message', data: { message, time } }));
  const blocks = [joined, ...events].map(({ event, data }) => {
    return `event: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
  });
  const body = `retry: 3600000\n\n${blocks.join('')}`;
  return { contentType: 'text/event-stream', body };
}

const song = (seconds, length) => ({
  track: 'A song',
  type: 'SONG',
  album: 'An album',
  artist: 'Somebody',
  length: length * 1_000,
  timestampUTC: new Date(Date.parse(serverTime()) - seconds * 1_000).toISOString(),
});

const MASKED = { type: 'LINK', track: STATION, artist: '', album: '' };
const link = (given) => ({ ...song(30, 20), ...MASKED, ...given });

// What was told -> the heading, the title, and how far of how long it is said to
// be, in steps of 15 s.
const MOMENTS = {
  'a song that is on': [() => [song(80, 240)], 'On air', 'A song', '1:15 of 4:00'],
  'one of more than an hour': [
    () => [song(3_725, 4_000)], 'On air', 'A song', '1:02:00 of 1:06:40',
  ],
  'one that is to start': [() => [song(-20, 240)], 'On air', 'A song', '0:00 of 4:00'],
  'one past its end': [() => [song(270, 240)], 'On air', 'A song', '4:00 of 4:00'],
  'one long past its end': [() => [song(400, 240)], 'Last heard', 'A song', null],
  'one of unknown length': [() => [song(80, 0)], 'On air', 'A song', null],
  'one of unknown length, long ago': [() => [song(3_600, 0)], 'Last heard', 'A song', null],
  'no song': [() => [song(300, 240), link()], 'On air', STATION, '0:20 of 0:20'],
  'nothing heard for long': [
    () => [song(9_000, 240), link({ stale: true })], 'On air', 'Nothing known', null,
  ],
  'what a backend may publish besides': [
    () => [song(80, 240), null, 5, [], {}, { track: 'x' }, link({ track: '' })],
    'On air', 'A song', '1:15 of 4:00',
  ],
};

for (const [name, [told, heading, title, progress]] of Object.entries(MOMENTS)) {
  played(`by the server's clock: ${name}`, async (stage) => {
    for (const target of PATHS) {
      const tab = await stage.tab(target, { routes: { [NOW_PLAYING]: stream(...told()) } });
      await says(tab, 'title', title);
      await says(tab, 'heading', heading);
      const bar = tab.getByRole('progressbar');
      assert.equal(await bar.count(), progress ? 1 : 0);
      if (progress) {
        assert.equal(await bar.getAttribute('aria-valuetext'), progress);
      }
    }
  });
}
