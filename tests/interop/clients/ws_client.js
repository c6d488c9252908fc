// The same client as ws_client.py (see there), on Node's `ws`: another peer that
// we did not write.
//
//     node ws_client.js PORT SCENARIO

'use strict';

const assert = require('assert');
const { once } = require('events');
const WebSocket = require('ws');

const [port, scenario] = process.argv.slice(2);
const sizes = [0, 1, 125, 126, 127, 65535, 65536, 1048576];

function dial(path = '/echo', protocols = [], options = {}) {
  const ws = new WebSocket(`ws://127.0.0.1:${port}${path}`, protocols, options);
  // Messages wait here until somebody asks for them.
  ws.inbox = [];
  ws.on('message', (data, binary) => {
    ws.inbox.push(binary ? data : data.toString());
    ws.emit('arrived');
  });
  ws.closed = new Promise((resolve) => ws.on('close', (code, reason) => resolve([code, reason.toString()])));
  return ws;
}

async function open(...how) {
  const ws = dial(...how);
  await once(ws, 'open');
  return ws;
}

async function next(ws) {
  while (ws.inbox.length === 0) await once(ws, 'arrived');
  return ws.inbox.shift();
}

function same(wanted, got) {
  if (Buffer.isBuffer(wanted)) assert(Buffer.isBuffer(got) && wanted.equals(got), 'the bytes differ');
  else assert.deepStrictEqual(got, wanted);
}

const count = (n, make) => Array.from({ length: n }, (_, i) => make(i));

const scenarios = {
  async echo() {
    const ws = await open();
    for (const size of sizes) {
      for (const message of ['ä'.repeat(size / 2), Buffer.from(count(size, (i) => i % 251))]) {
        ws.send(message);
        same(message, await next(ws));
      }
    }
    ws.close(1000);
  },
  async fragments() {
    const ws = await open('/echo', [], { perMessageDeflate: false });
    const pieces = ['frag', '', 'ments, ', 'ä€😀', '!'];
    pieces.forEach((piece, i) => ws.send(piece, { fin: i === pieces.length - 1 }));
    same('fragments, ä€😀!', await next(ws));
    const bytes = count(500, (i) => Buffer.alloc(100, i % 256));
    bytes.forEach((piece, i) => {
      if (i % 100 === 50) ws.ping(String(i));
      ws.send(piece, { binary: true, fin: i === bytes.length - 1 });
    });
    same(Buffer.concat(bytes), await next(ws));
    ws.close(1000);
  },
  async burst() {
    const ws = await open();
    for (let i = 0; i < 2000; ++i) ws.send(String(i));
    for (let i = 0; i < 2000; ++i) same(String(i), await next(ws));
    ws.close(1000);
  },
  async large() {
    const ws = await open();
    const message = Buffer.alloc(10485760, Buffer.from(count(256, (i) => i)));
    ws.send(message);
    same(message, await next(ws));
    ws.close(1000);
  },
  async many() {
    await Promise.all(count(100, async (i) => {
      const ws = await open();
      ws.send(`from ${i}`);
      same(`from ${i}`, await next(ws));
      ws.close(1000);
      await ws.closed;
    }));
  },
  async ping() {
    const ws = await open();
    ws.ping('are you there');
    same('are you there', (await once(ws, 'pong'))[0].toString());
    ws.send('after');
    same('after', await next(ws));
    ws.close(1000);
  },
  async pinged() {
    const ws = await open('/pings');
    let pings = 0;
    ws.on('ping', () => ++pings);
    same('three pongs', await next(ws));
    assert(pings >= 3);
    ws.close(1000);
  },
  async close() {
    const ws = await open();
    ws.close(3001, 'done here');
    same(3001, (await ws.closed)[0]);
  },
  async bye() {
    const ws = await open('/bye');
    same([4001, 'go away'], await ws.closed);
  },
  async too_big() {
    const ws = await open();
    ws.on('error', () => {});
    ws.send(Buffer.alloc(10485761));
    same(1009, (await ws.closed)[0]);
  },
  async drop() {
    const ws = await open();
    ws.send('x');
    same('x', await next(ws));
    ws.terminate();
  },
  async dropped() {
    const ws = await open('/drop');
    ws.send('x');
    same(1006, (await ws.closed)[0]);
  },
  async subprotocol() {
    const ws = await open('/echo', ['other', 'chat']);
    same('chat', ws.protocol);
    ws.close(1000);
    // ws wants one of those that it offered.
    const other = dial('/echo', ['other']);
    const [error] = await once(other, 'error');
    assert(/subprotocol/.test(error.message), error.message);
  },
  async headers() {
    const ws = dial('/headers?a=b', [], { headers: { 'X-Name': 'tom' }, origin: 'http://example.com' });
    const [response] = await once(ws, 'upgrade');
    same(['name=tom'], response.headers['set-cookie']);
    same('/headers a=b tom http://example.com', await next(ws));
    ws.close(1000);
  },
  async refused() {
    const ws = dial('/secret');
    const [, response] = await once(ws, 'unexpected-response');
    same(401, response.statusCode);
    same('Basic', response.headers['www-authenticate']);
    response.setEncoding('utf8');
    let body = '';
    for await (const piece of response) body += piece;
    same('who are you?', body);
  },
};

const limit = setTimeout(() => {
  console.log('it takes too long');
  process.exit(1);
}, 30000);
scenarios[scenario]().then(
  () => {
    console.log('ok');
    clearTimeout(limit);
  },
  (error) => {
    console.log(error);
    process.exit(1);
  },
);
