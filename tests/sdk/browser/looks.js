// How the page and the widget are reached and look: by keyboard and screen reader,
// light and dark, on a phone, in a frame of another site; and what they weigh.
// ROOMCAST_SCREENSHOTS=FOLDER keeps the pictures that are taken.

import assert from 'node:assert/strict';
import path from 'node:path';

import { contrasts, focus, frame, watch } from './measures.js';
import { ago, PATHS, played, says } from './playing.js';

const SIZE_MOST = 40 * 1024;

// What text needs on its ground (WCAG 2.2, level AA).
const CONTRAST = 4.5;

// What can be reached, in its order.
const STOPS = {
  '/': ['Skip to the last songs', 'As a widget for your site'],
  '/embed': ['All songs'],
};

// The narrowest phones, a common one, and a desk; a widget is narrower still.
const WIDTHS = { '/': [320, 360, 1_280], '/embed': [220, 360] };

// What is on in the pictures, and what was.
const SONGS = [
  ['Paper Boats', 'The Harbour Lights', 'Low Tide'],
  ['Nine in the Evening', 'Mara Lind', 'Letters'],
  ['Northbound (Live at the Old Mill)', 'Quarter Moon', 'Live'],
  ['\u05e9\u05d9\u05e8 \u05dc\u05d9\u05dc\u05d4', '\u05e0\u05d5\u05e2\u05d4', ''],
  ['Copper Wire', 'Signal Hill', 'Copper Wire'],
  ['Everything We Meant to Say Before the Rain Came Down', 'Ida & the Understudies', ''],
  ['Half a World', 'Tomasz Wren', 'Half a World'],
];

const LONG = 'Donaudampfschifffahrtsgesellschaft'.repeat(8);

// A song that is on, the one before it, and one to come.
async function play(stage, tabs) {
  stage.feed.play({ title: 'Before', artist: 'One', start: ago(300) });
  const next = { title: 'Coming', artist: 'Three', start: ago(-200) };
  stage.feed.play({ title: 'On', artist: 'Two', album: 'All', start: ago(66), length: 240 }, next);
  for (const tab of tabs) {
    await says(tab, 'title', 'On');
    await says(tab, 'next-title', 'Coming');
  }
}

// What a screen reader is told of each, in its order; times are the reader's own.
const TREES = {
  '/': `
- link "Skip to the last songs":
  - /url: "#last"
- banner:
  - heading "Now playing" [level=1]
  - status: Live
- main:
  - region "On air":
    - heading "On air" [level=2]
    - paragraph: "On"
    - paragraph: Two
    - paragraph: All
    - progressbar "Progress"
    - paragraph:
      - text: Since
      - time: /\\d/
  - region "Next":
    - heading "Next" [level=2]
    - paragraph: Coming
    - paragraph: Three
  - region "Last songs":
    - heading "Last songs" [level=2]
    - list:
      - listitem:
        - time: /\\d/
        - paragraph: Before
        - paragraph: One
- contentinfo:
  - paragraph: Times are those of your own time zone.
  - paragraph:
    - link "As a widget for your site":
      - /url: embed`,
  '/embed': `
- main:
  - region "On air":
    - heading "On air" [level=1]
    - status: Live
    - paragraph: "On"
    - paragraph: Two
    - progressbar "Progress"
  - paragraph: Next Coming
  - paragraph:
    - link "All songs":
      - /url: ./`,
};

for (const target of PATHS) {
  played(`${target} as a screen reader has it`, async (stage) => {
    const tab = await stage.liveTab(target);
    await play(stage, [tab]);
    const clock = /time: .*/g;
    const found = await tab.locator('body').ariaSnapshot();
    assert.equal(found.replace(clock, 'time: /\\d/'), TREES[target].trim());
    assert.equal(await tab.locator('html').getAttribute('lang'), 'en');
    const live = await tab.locator('[aria-live=polite]').innerText();
    const expected = target === '/' ? 'On Two All' : 'On Two';
    assert.equal(live.replaceAll(/\s+/g, ' '), expected);
  });

  played(`${target} says no more than is new`, async (stage) => {
    const tab = await stage.liveTab(target, { clock: true });
    await play(stage, [tab]);
    await tab.evaluate(watch);
    await tab.clock.runFor(60_000);
    const said = await tab.evaluate(() => window.said);
    // Every 15 s, whenever that began.
    assert.ok(said.length >= 4 && said.length <= 6, said.join());
    assert.ok(said.every((text) => / of 4:00$/.test(text)), said.join());
  });

  played(`${target} by keyboard`, async (stage) => {
    const tab = await stage.liveTab(target);
    await play(stage, [tab]);
    const stops = [];
    for (;;) {
      await tab.keyboard.press('Tab');
      const focused = await tab.evaluate(focus);
      if (!focused) {
        break;
      }
      assert.ok(focused.outline && focused.isSeen, focused.text);
      stops.push(focused.text);
    }
    assert.deepEqual(stops, STOPS[target]);
  });

  for (const [theme, scheme, isDark] of [
    ['', 'light', false],
    ['', 'dark', true],
    ['?theme=light', 'dark', false],
    ['?theme=dark', 'light', true],
    ['?theme=none', 'dark', true],
  ]) {
    played(`${target}${theme} for who prefers ${scheme}`, async (stage) => {
      const tab = await stage.liveTab(target + theme, { colorScheme: scheme });
      await play(stage, [tab]);
      const texts = await tab.evaluate(contrasts);
      assert.ok(texts.length >= 8, `${texts.length} texts`);
      for (const { text, contrast, background } of texts) {
        assert.ok(contrast >= CONTRAST, `${text}: ${contrast}`);
        assert.equal(background < 0.5, isDark, `${text} on ${background}`);
      }
    });
  }

  played(`${target} fits, however long a title is`, async (stage) => {
    const tab = await stage.liveTab(target);
    const long = { title: LONG, artist: LONG, album: LONG };
    stage.feed.play({ ...long, start: ago(600) });
    stage.feed.play({ ...long, title: `${LONG}2`, start: ago(60) }, { ...long, start: ago(-60) });
    await says(tab, 'title', `${LONG}2`);
    for (const width of WIDTHS[target]) {
      await tab.setViewportSize({ width, height: 640 });
      const found = await tab.evaluate(() => document.documentElement.scrollWidth);
      assert.equal(found, width);
    }
  });

  played(`${target} weighs little`, async (stage) => {
    const tab = await stage.site.tab();
    const responses = [];
    tab.on('response', (response) => responses.push(response));
    await tab.goto(stage.server.url + target);
    await says(tab, 'state', 'Live');
    const files = responses.filter((response) => !/\/(events|api)\//.test(response.url()));
    assert.ok(files.length >= 6, `${files.length} files`);
    const sizes = await Promise.all(files.map(async (file) => (await file.body()).length));
    const size = sizes.reduce((sum, more) => sum + more);
    assert.ok(size > 10_000 && size < SIZE_MOST, `${size} bytes`);
    await tab.close();
  });

  played(`${target} moves only where that is liked`, async (stage) => {
    const tab = await stage.liveTab(target);
    for (const [reducedMotion, duration] of [['no-preference', '1s'], ['reduce', '0s']]) {
      await tab.emulateMedia({ reducedMotion });
      const done = tab.locator('#done');
      const found = await done.evaluate((place) => getComputedStyle(place).transitionDuration);
      assert.equal(found, duration);
    }
  });
}

played('the list can be reached at once', async (stage) => {
  const tab = await stage.liveTab();
  await tab.keyboard.press('Tab');
  await tab.keyboard.press('Enter');
  assert.equal(await tab.evaluate(() => document.activeElement.id), 'last');
});

played('the widget leads to the page, in a tab of its own', async (stage) => {
  const tab = await stage.liveTab('/embed');
  const opened = tab.context().waitForEvent('page');
  await tab.getByRole('link', { name: 'All songs' }).click();
  const page = await opened;
  await says(page, 'state', 'Live');
  assert.equal(page.url(), `${stage.server.url}/`);
  assert.equal(await page.evaluate(() => window.opener), null);
});

played('another site may frame the widget, and not the page', async (stage) => {
  const tab = await stage.site.page(4);
  const refused = tab.waitForEvent('console', (message) => /frame-ancestors/.test(message.text()));
  await tab.evaluate(frame, { url: `${stage.server.url}/embed`, name: 'widget' });
  const widget = tab.frameLocator('[name=widget]');
  await widget.getByText('Live', { exact: true }).waitFor();
  stage.feed.play({ title: 'Framed', start: ago(30) });
  await widget.getByText('Framed', { exact: true }).waitFor();
  await tab.evaluate(frame, { url: `${stage.server.url}/`, name: 'page' });
  await refused;
  await tab.close();
});

// What is shown in README.
for (const [name, target, viewport] of [
  ['page-desktop', '/', { width: 1_280, height: 720 }],
  ['page-phone', '/', { width: 390, height: 780 }],
  ['widget', '/embed', { width: 360, height: 176 }],
]) {
  for (const colorScheme of ['light', 'dark']) {
    played(`a picture: ${name}, ${colorScheme}`, async (stage) => {
      const tab = await stage.liveTab(target, { viewport, colorScheme, locale: 'en-GB' });
      const songs = [...SONGS].reverse();
      songs.forEach(([title, artist, album], at) => {
        const start = ago(90 + 240 * (songs.length - 1 - at));
        const next = { title: 'Slow Weather', artist: 'Lantern Club', start: ago(-180) };
        stage.feed.play({ title, artist, album, start }, next);
      });
      await says(tab, 'title', SONGS[0][0]);
      await tab.getByRole('progressbar').waitFor();
      const folder = process.env.ROOMCAST_SCREENSHOTS;
      const file = folder && path.resolve(folder, `${name}-${colorScheme}.png`);
      const picture = await tab.screenshot({ path: file, animations: 'disabled' });
      assert.equal(picture.subarray(1, 4).toString(), 'PNG');
    });
  }
}
