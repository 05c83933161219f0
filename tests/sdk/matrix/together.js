// All SDKs in one place at once, old and new: one room, one lobby.

import assert from 'node:assert/strict';

import { idInLobby } from './scenario.js';

// How often each of them speaks: below what the server lets a client say at once.
const LINES = 10;

export const MEETINGS = [
  ['one room', room],
  ['one lobby', lobby],
];

// Everybody speaks at the same time, and hears the others in the one order.
async function room(stage, members) {
  const asked = (name) => ({ room: 'together', name });
  const joining = members.map(async ({ name, driver }) => ({
    name,
    ...(await stage.joined('/layout', asked(name), { driver })),
  }));
  const joined = await Promise.all(joining);
  const start = Math.max(...joined.map(({ ack }) => number(ack.offset)));
  for (let n = 0; n < LINES; n++) {
    joined.forEach(({ client }) => client.tell('NOTIFY', { room: 'together', message: n }));
  }

  // Everything that was said, by its place in the room.
  const said = new Map();
  const heard = new Map();
  for (const { name, client } of joined) {
    const offsets = [];
    while (offsets.length < LINES * (joined.length - 1)) {
      const event = await client.event();
      offsets.push(event.offset);
      assert.deepEqual(event, said.get(event.offset) ?? event, `${name} heard another event`);
      said.set(event.offset, event);
    }
    heard.set(name, offsets);
  }
  const all = [...said.keys()].sort((a, b) => number(a) - number(b));
  assert.deepEqual(all.map(number), all.map((_, n) => start + 1 + n));
  for (const { name, client } of joined) {
    const others = all.filter((offset) => said.get(offset).sender !== name);
    assert.deepEqual(heard.get(name), others, `${name} heard another order`);
    assert.deepEqual(client.unread, [], `${name} heard more`);
  }
  return `each of ${joined.length} heard the ${LINES * (joined.length - 1)} events of the others`;
}

// Everybody signals to everybody, by the ids that the server told each.
async function lobby(stage, members) {
  const query = 'lobbyId=together';
  const there = [];
  for (const { name, driver, engine } of members) {
    const client = await stage.connected('/lobby', { driver, query });
    const self = idInLobby(client, engine);
    const peers = await client.event('PEERS');
    assert.equal(peers.length, there.length, `${name}: ${JSON.stringify(peers)}`);
    assert.ok(!peers.includes(self));
    for (const other of there) {
      const newcomer = await other.client.event('JOINED');
      client.tell('RTCSIGNAL', { to: peers[there.indexOf(other)], offer: name });
      const { from, offer } = await other.client.event('RTCSIGNAL');
      assert.deepEqual([from, offer], [newcomer, name]);
      other.client.tell('RTCSIGNAL', { to: from, answer: other.name });
      const { answer } = await client.event('RTCSIGNAL');
      assert.equal(answer, other.name);
    }
    there.push({ name, client });
  }
  return `each of ${there.length} signalled to each`;
}

function number(offset) {
  return Number(offset.slice(offset.indexOf('-') + 1));
}
