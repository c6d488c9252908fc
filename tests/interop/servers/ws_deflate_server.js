// The same servers as ws_deflate_server.py (see there), on Node's `ws`.
//
//     node ws_deflate_server.js PARAMETERS...

'use strict';

const { WebSocketServer } = require('ws');

const camel = (name) => name.replace(/_(.)/g, (_, letter) => letter.toUpperCase());

function options(text) {
  const made = { threshold: 0 };
  for (const one of text.split(',').filter((name) => name !== 'any')) {
    const [name, value] = one.split('=');
    made[camel(name)] = value ? Number(value) : true;
  }
  return made;
}

function echo(ws, request) {
  const size = Number(request.url.slice(1));
  ws.on('message', (data, binary) => {
    if (!size) return ws.send(data, { binary });
    for (let at = 0; at === 0 || at < data.length; at += size) {
      ws.send(data.subarray(at, at + size), { binary, fin: at + size >= data.length });
    }
  });
}

const ports = process.argv.slice(2).map(
  (text) =>
    new Promise((done) => {
      const server = new WebSocketServer({ host: '127.0.0.1', port: 0, perMessageDeflate: options(text) });
      server.on('connection', echo);
      server.on('listening', () => done(server.address().port));
    }),
);
Promise.all(ports).then((all) => process.stdout.write(`ports ${all.join(' ')}\n`));
