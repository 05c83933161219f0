// The page `/` and the widget `/embed` through whatever happens to the connection:
// a restart of the server, a proxy's answers, no network, a tab in the background.

import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';

import { ago, listed, NOW_PLAYING, PATHS, played, says } from './playing.js';
import { Server } from './server.js';

for (const target of PATHS) {
  played(`${target} goes on by itself after a restart`, async (stage) => {
    const tab = await stage.liveTab(target);
    stage.feed.play({ title: 'Before', start: ago(30) });
    await says(tab, 'title', 'Before');
    // The browser says that it finds nobody there.
    stage.expect(/net::ERR_/);
    await stage.server.stop();
    await says(tab, 'state', 'Reconnecting');
    // That is still so.
    await says(tab, 'title', 'Before');
    await stage.restart();
    await says(tab, 'state', 'Live');
    stage.feed.play({ title: 'Behind', start: ago(10) });
    await says(tab, 'title', 'Behind');
    if (target === '/') {
      assert.deepEqual(await listed(tab), ['Before']);
    }
  });

  const others = { flags: ['--cors-origin', 'https://elsewhere.example'] };
  played(`${target} needs no --cors-origin of its own`, async (stage) => {
    const tab = await stage.liveTab(target);
    stage.feed.play({ title: 'Here', start: ago(30) });
    await says(tab, 'title', 'Here');
  }, others);

  played(`${target} comes back from an answer that is no stream`, async (stage) => {
    const tab = await stage.tab();
    const unavailable = { status: 503, body: 'no server' };
    stage.expect(/status of 503/);
    await tab.route(NOW_PLAYING, (route) => route.fulfill(unavailable));
    await tab.goto(stage.server.url + target);
    await says(tab, 'state', 'Reconnecting');
    await tab.unroute(NOW_PLAYING);
    await says(tab, 'state', 'Live');
  });

  // Its connection may be dead without a word: here, and where nothing new comes.
  played(`${target} asks anew when the network is back`, async (stage) => {
    const tab = await stage.liveTab(target);
    await tab.context().setOffline(true);
    const asked = tab.waitForRequest(NOW_PLAYING);
    await tab.context().setOffline(false);
    await asked;
    stage.feed.play({ title: 'Behind', start: ago(30) });
    await says(tab, 'title', 'Behind');
    await stage.hasClients(2);
  });

  played(`${target} asks anew when a song has run out`, async (stage) => {
    const tab = await stage.liveTab(target, { clock: true });
    stage.feed.play({ title: 'On', start: ago(30), length: 60 });
    await says(tab, 'title', 'On');
    const asked = tab.waitForRequest(NOW_PLAYING);
    // Its end, a minute more, and what is added by chance.
    await tab.clock.runFor(120_000);
    assert.match((await asked).url(), /last_event_id=/);
    await stage.hasClients(2);
    stage.feed.play({ title: 'Behind', start: ago(0) });
    await says(tab, 'title', 'Behind');
  });

  played(`${target} in a tab that nobody looks at needs one connection`, async (stage) => {
    const tab = await stage.liveTab(target);
    await stage.hasClients(2);
    await tab.evaluate(turn, 'hidden');
    await stage.hasClients(1);
    const next = { title: 'Coming', start: ago(-120) };
    stage.feed.play({ title: 'On', start: ago(30) }, next);
    await says(tab, 'title', 'On');
    assert.match(await tab.title(), /^On /);
    await tab.evaluate(turn, 'visible');
    await stage.hasClients(2);
    await says(tab, 'next-title', 'Coming');
  });
}

// Without a studio: that one needs the room.
const folder = fileURLToPath(new URL('without-metadata', import.meta.url));
const WITHOUT = { start: () => Server.start('--namespaces', folder) };

played('a server without such a room is said to be one', async (stage) => {
  // The browser says what it was answered.
  stage.expect(/status of 404/);
  for (const target of PATHS) {
    const tab = await stage.tab(target);
    await says(tab, 'state', 'Not available');
    await says(tab, 'title', 'Nothing to show here');
    await tab.getByText('it has no room now-playing in /metadata').waitFor();
  }
}, WITHOUT);

// Runs in the page: what the browser says when another tab is chosen.
function turn(visibility) {
  Object.defineProperty(document, 'hidden', { value: visibility === 'hidden', configurable: true });
  document.dispatchEvent(new Event('visibilitychange'));
}
