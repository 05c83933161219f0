// The push door's own client, `pushserver.js`, in pages of another origin: what they
// hear, and what becomes of it when the connection breaks.

import assert from 'node:assert/strict';

import { connected, hears, pushed } from './pushing.js';

const MESSAGES = [
  'text',
  '',
  'caf\u00e9 \u{1f600} \u2028 "</script>"',
  '{"not":"read"}',
  null,
  false,
  0,
  -1.5e3,
  [],
  { a: [1, null, { b: '' }] },
];

pushed('subscribing works at once, and messages arrive as they are', async (stage) => {
  await stage.channel('news', 'first');
  const page = await stage.page();
  // As it was always written, but that it threw before it was connected.
  await page.evaluate((url) => {
    window.heard = [];
    window.push = new window.PushServer(url);
    window.before = window.push.uuid;
    window.push.subscribe('news', (message) => window.heard.push(message));
  }, stage.url.replace('ws:', 'http:'));
  await hears(page, 'first');
  assert.equal(await page.evaluate(() => window.before), null);
  for (const message of MESSAGES) {
    await stage.push('news', message);
    await hears(page, message);
  }
});

pushed('each channel has its callback, until it is unsubscribed', async (stage) => {
  await stage.channel('a', 1);
  await stage.channel('b', 2);
  const page = await stage.listening({ a: 1, b: 2 });
  await stage.push('a', 3);
  await stage.push('b', 4);
  await hears(page, ['a', 3], ['b', 4]);
  await page.evaluate(() => window.push.unsubscribe('a'));
  await stage.push('a', 5);
  await stage.push('b', 6);
  await hears(page, ['b', 6]);
  await page.evaluate(() => window.subscribe('a'));
  await hears(page, ['a', 5]);
  // Another callback takes the place of the first.
  await page.evaluate(() => {
    window.push.subscribe('b', (message) => window.heard.push(['again', message]));
  });
  await stage.push('b', 7);
  await hears(page, ['again', 7]);
});

pushed('a page knows who it is, and hears what is for it alone', async (stage) => {
  await stage.channel('news', 1);
  const page = await stage.listening({ news: 1 });
  const other = await stage.listening({ news: 1 });
  const [uuid, ...more] = await page.evaluate(() => window.uuids);
  assert.match(uuid, /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
  assert.deepEqual(more, []);
  assert.equal(await page.evaluate(() => window.push.uuid), uuid);
  assert.notEqual(await other.evaluate(() => window.push.uuid), uuid);
  await stage.push('news', 'for you', [uuid]);
  await stage.push('news', 'for all');
  await hears(page, ['news', 'for you'], ['news', 'for all']);
  await hears(other, ['news', 'for all']);
});

const BREAKS = {
  'a restart of the server': [(stage) => stage.server.stop(), (stage) => stage.server.run()],
  'a cut': [(stage) => stage.network.cut(), (stage) => stage.network.restore()],
};

for (const [name, [begin, end]] of Object.entries(BREAKS)) {
  pushed(`a page comes back from ${name}, and subscribes again`, async (stage) => {
    await stage.channel('a', 1);
    await stage.channel('b', 2);
    await stage.channel('c', 3);
    const page = await stage.listening({ a: 1, b: 2 });
    await begin(stage);
    await connected(page, false);
    // What is asked for meanwhile is so afterwards.
    await page.evaluate(() => {
      window.push.unsubscribe('a');
      window.subscribe('c');
    });
    await end(stage);
    await hears(page, ['b', 2], ['c', 3]);
    for (const [channel, message] of [['a', 4], ['c', 5], ['b', 6]]) {
      await stage.push(channel, message);
    }
    await hears(page, ['c', 5], ['b', 6]);
    // It is another one then.
    const uuids = await page.evaluate(() => window.uuids);
    assert.equal(new Set(uuids).size, 2, uuids);
    assert.equal(await page.evaluate(() => window.push.uuid), uuids[1]);
  });
}

// Longer than a page waits before it connects again.
const LONG_MS = 60_000;

for (const [name, broken] of [['connected', false], ['waiting to come back', true]]) {
  pushed(`a page that is ${name} can end it for good`, async (stage) => {
    await stage.channel('news', 1);
    const page = await stage.listening({ news: 1 }, { clock: true });
    if (broken) {
      await stage.network.cut();
      await connected(page, false);
    }
    await page.evaluate(() => window.push.disconnect());
    await connected(page, false);
    if (broken) {
      await stage.network.restore();
    }
    await page.clock.runFor(LONG_MS);
    assert.equal(page.sockets, 1);
    const said = await page.evaluate(() => {
      const tried = [
        () => window.subscribe('news'),
        () => window.push.unsubscribe('news'),
        () => window.push.disconnect(),
      ];
      return tried.map((attempt) => {
        try {
          attempt();
          return null;
        } catch (error) {
          return error.message;
        }
      });
    });
    const over = 'this client was disconnected';
    assert.deepEqual(said, [over, over, null]);
    assert.deepEqual(await page.evaluate(() => window.heard), []);
  });
}

pushed('what the server refuses is told, and can be asked for again', async (stage) => {
  await stage.channel('news', 1);
  const page = await stage.listening({ news: 1 });
  await page.evaluate(() => window.subscribe('nowhere'));
  await page.waitForFunction(() => window.refused.length > 0);
  assert.deepEqual(await page.evaluate(() => window.refused), [
    { code: 404, message: 'Not found', errorDetails: 'there is no channel nowhere' },
  ]);
  // The others go on.
  await stage.push('news', 2);
  await hears(page, ['news', 2]);
  await stage.channel('nowhere', 3);
  await page.evaluate(() => window.subscribe('nowhere'));
  await hears(page, ['nowhere', 3]);
  // So it is where a channel was deleted meanwhile.
  await stage.delete('news');
  await stage.channel('news', 4);
  await page.evaluate(() => window.subscribe('news'));
  await hears(page, ['news', 4]);
});

pushed('what cannot be is said at once', async (stage) => {
  const page = await stage.page();
  const said = await page.evaluate((url) => {
    const name = (attempt) => {
      try {
        attempt();
        return null;
      } catch (error) {
        return error.name;
      }
    };
    const push = new window.PushServer(url);
    const names = [
      name(() => push.subscribe('news')),
      name(() => push.subscribe('news', 'no function')),
      name(() => new window.PushServer('ws://a:no-port')),
      name(() => push.unsubscribe('never heard of')),
    ];
    push.disconnect();
    return names;
  }, stage.url);
  assert.deepEqual(said, ['TypeError', 'TypeError', 'TypeError', null]);
});
