// Drives Ringway with the Node package `ws` over OpenSSL.
//
//     NODE_PATH=.../node_modules node tests/clients/tls/ws_client.mjs FOLDER

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

// `import` does not look in NODE_PATH, `require` does.
const WebSocket = createRequire(import.meta.url)('ws');

const PATIENCE_MS = 20_000;
const folder = process.argv[2];
const ports = JSON.parse(readFileSync(join(folder, 'hall.json')));
const read = name => readFileSync(join(folder, name));

const checks = {
  async 'text and binary come back as they were, in both versions'() {
    for (const version of ['TLSv1.3', 'TLSv1.2']) {
      const client = await open('/ws', { minVersion: version, maxVersion: version });
      assert.equal(client._socket.getProtocol(), version);
      for (const message of ['', 'hello', 'grüße, 世界 🌍', 'x'.repeat(126), 'y'.repeat(65_536)]) {
        assert.equal((await echo(client, message)).toString(), message);
      }
      const bytes = randomBytes(1 << 20);
      assert.ok((await echo(client, bytes)).equals(bytes));
      await shut(client);
    }
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

  async 'close codes and reasons travel both ways'() {
    for (const [code, reason] of [[1000, ''], [1000, 'done'], [4001, 'our own']]) {
      const client = await open();
      client.close(code, reason);
      const [found, words] = await inTime(once(client, 'close'));
      assert.deepEqual([found, words.toString()], [code, reason]);
    }
  },

  async 'a broken rule of RFC 6455 costs its sender 1002 over TLS too'() {
    const client = await open();
    // A ping of 126 bytes, written past the library, which would not send it.
    client._socket.write(Buffer.concat([Buffer.from([0x89, 0xfe, 0, 126, 0, 0, 0, 0]), Buffer.alloc(126)]));
    const [code] = await inTime(once(client, 'close'));
    assert.equal(code, 1002);
  },

  async 'a message goes through two pairs of TLS, and looked into'() {
    for (const path of ['/trusted', '/older', '/inspected']) {
      const client = await open(path);
      const message = '🌍'.repeat(50_000);
      assert.equal((await echo(client, message)).toString(), message, path);
      await shut(client);
    }
  },

  async 'a certificate opens the door, and none does not'() {
    const papers = { port: ports.devices, cert: read('device-7.pem'), key: read('device-7.key') };
    const client = await open('/ws', papers);
    assert.equal((await echo(client, 'hello')).toString(), 'hello');
    await shut(client);
    await assert.rejects(open('/ws', { port: ports.devices }), /certificate required/);
  },

  async 'an authority that is not trusted is not spoken to'() {
    await assert.rejects(open('/ws', { ca: read('stranger.pem') }), /unable to (verify|get)|self-signed/);
  },
};

function open(path = '/ws', options = {}) {
  const { port = ports.tls, ...others } = options;
  const client = new WebSocket(`wss://localhost:${port}${path}`, {
    ca: read('ca.pem'),
    perMessageDeflate: false,
    family: 4,
    ...others,
  });
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

for (const [fact, check] of Object.entries(checks)) {
  try {
    await check();
    console.log(`ok      ws: ${fact}`);
  } catch (error) {
    process.exitCode = 1;
    console.log(`FAILED  ws: ${fact}: ${error}`);
  }
}
