// Drives `ringway demo` with the Node package `ws`.
//
//     NODE_PATH=.../node_modules node tests/clients/node_client.mjs 127.0.0.1:8080            one line for each fact that holds
//     NODE_PATH=.../node_modules node tests/clients/node_client.mjs 127.0.0.1:8080 --goodbye  opens tunnels and waits for their end

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { createRequire } from 'node:module';
import { once } from 'node:events';

// `import` does not look in NODE_PATH, `require` does.
const WebSocket = createRequire(import.meta.url)('ws');

const PATIENCE_MS = 20_000;
const BACKENDS = ['anna', 'ben', 'cleo'];
const address = process.argv[2];

const checks = {
  async 'text and binary come back as they were'() {
    const client = await open();
    for (const message of ['', 'hello', 'grüße, 世界 🌍', 'x'.repeat(126), 'y'.repeat(65_536)]) {
      assert.equal((await echo(client, message)).toString(), message);
    }
    const bytes = randomBytes(1000);
    assert.deepEqual(await echo(client, bytes), bytes);
    await shut(client);
  },

  async 'a message of one mebibyte comes back whole'() {
    const client = await open();
    const message = randomBytes(1 << 20);
    assert.ok((await echo(client, message)).equals(message));
    await shut(client);
  },

  async 'an extension that no backend accepts stays off'() {
    // The demo's backends accept none, so nobody on the way may.
    const client = await open('/ws', { perMessageDeflate: true });
    assert.equal(client.extensions, '');
    assert.equal((await echo(client, 'a'.repeat(10_000))).toString(), 'a'.repeat(10_000));
    await shut(client);
  },

  async 'fifty tunnels at once echo each its own'() {
    const clients = await Promise.all(Array.from({ length: 50 }, () => open()));
    const echoes = await Promise.all(clients.map((client, number) => echo(client, `tunnel ${number}`)));
    assert.deepEqual(echoes.map(String), clients.map((_, number) => `tunnel ${number}`));
    await Promise.all(clients.map(client => shut(client)));
  },

  async 'a ping is answered'() {
    const client = await open();
    client.ping('there?');
    const [payload] = await inTime(once(client, 'pong'));
    assert.equal(payload.toString(), 'there?');
    await shut(client);
  },

  async 'every backend says who it is'() {
    const seen = new Set();
    for (let tries = 0; tries < 60 && seen.size < BACKENDS.length; tries++) {
      const client = new WebSocket(`ws://${address}/ws/hello`);
      const [hello] = await inTime(once(client, 'message'));
      seen.add(JSON.parse(hello).backend);
      await shut(client);
    }
    assert.deepEqual([...seen].sort(), BACKENDS);
  },

  async 'close codes and reasons travel both ways'() {
    for (const [code, reason] of [[1000, ''], [1000, 'done'], [4001, 'our own']]) {
      const client = await open();
      client.close(code, reason);
      const [found, words] = await inTime(once(client, 'close'));
      assert.deepEqual([found, words.toString()], [code, reason]);
    }
  },

  async 'a frame longer than a control frame may be costs its sender 1002'() {
    const client = await open();
    // A ping of 126 bytes, written past the library, which would not send it.
    client._socket.write(Buffer.concat([Buffer.from([0x89, 0xfe, 0, 126, 0, 0, 0, 0]), Buffer.alloc(126)]));
    const [code] = await inTime(once(client, 'close'));
    assert.equal(code, 1002);
  },

  async 'what is looked into comes back as it was, and is never compressed'() {
    const client = await open('/inspected', { perMessageDeflate: true });
    assert.equal(client.extensions, '');
    for (const message of ['', 'grüße, 世界 🌍'.repeat(700), 'y'.repeat(65_536)]) {
      assert.equal((await echo(client, message)).toString(), message);
    }
    await shut(client);
  },

  async 'text that is none costs its sender 1007'() {
    const client = await open('/inspected');
    // Written past the library: a masked text frame with a key of zeros and one byte that no text begins with.
    client._socket.write(Buffer.from([0x81, 0x81, 0, 0, 0, 0, 0xff]));
    const [code] = await inTime(once(client, 'close'));
    assert.equal(code, 1007);
  },

  async 'a silent client is pinged, and what it answers is for nobody else'() {
    const client = await open('/inspected');
    const [payload] = await inTime(once(client, 'ping'));
    assert.equal(payload.length, 8);
    assert.equal((await echo(client, 'still here')).toString(), 'still here');
    await shut(client);
  },
};

function open(path = '/ws', options = { perMessageDeflate: false }) {
  const client = new WebSocket(`ws://${address}${path}`, options);
  return inTime(once(client, 'open')).then(() => client);
}

async function echo(client, message) {
  const answer = once(client, 'message');
  client.send(message);
  return (await inTime(answer))[0];
}

async function shut(client) {
  const closed = once(client, 'close');
  client.close(1000);
  assert.equal((await inTime(closed))[0], 1000);
}

function inTime(promise) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`nothing within ${PATIENCE_MS} ms`)), PATIENCE_MS);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** Three silent tunnels, each of which must be told 1001 when the demo goes down. */
async function goodbye() {
  const clients = await Promise.all([open(), open(), open()]);
  const ends = clients.map(client => once(client, 'close'));
  console.log('waiting');
  const codes = (await inTime(Promise.all(ends))).map(([code]) => code);
  assert.deepEqual(codes, [1001, 1001, 1001]);
  console.log('ok      node: every tunnel was told 1001');
}

async function main() {
  if (process.argv.includes('--goodbye')) return goodbye();
  for (const [fact, check] of Object.entries(checks)) {
    try {
      await check();
      console.log(`ok      node: ${fact}`);
    } catch (error) {
      process.exitCode = 1;
      console.log(`FAILED  node: ${fact}: ${error}`);
    }
  }
}

await main();
