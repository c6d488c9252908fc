// The same server as ws_server.py (see there: options, paths, printed lines), on
// Node's `ws`: another peer that we did not write.
//
//     node ws_server.js [--port N] [--max-size BYTES] [--subprotocols A,B] [--deflate] [--stdin]

'use strict';

const { WebSocketServer } = require('ws');
const { parseArgs } = require('util');

const { values: options } = parseArgs({
  options: {
    port: { type: 'string', default: '0' },
    'max-size': { type: 'string', default: '0' },
    subprotocols: { type: 'string', default: '' },
    deflate: { type: 'boolean', default: false },
    stdin: { type: 'boolean', default: false },
  },
});
const say = (...words) => process.stdout.write(words.join(' ') + '\n');
const note = (data, binary) => say(binary ? 'binary' : 'text', binary ? data.length : data.toString().length);

function echo(ws) {
  ws.on('message', (data, binary) => {
    note(data, binary);
    ws.send(data, { binary });
  });
}

// Sends one message in pieces; ws ends it with the piece that says fin.
function sendPieces(ws, data, binary, size, between) {
  for (let at = 0; at === 0 || at < data.length; at += size) {
    if (at > 0 && between) between(at / size);
    ws.send(data.subarray(at, at + size), { binary, fin: at + size >= data.length });
  }
}

function echoPieces(ws, size, between) {
  ws.on('message', (data, binary) => {
    note(data, binary);
    sendPieces(ws, data, binary, size, between);
  });
}

const number = (query, name, otherwise) => Number(query.get(name) ?? otherwise);

const modes = {
  '/echo': (ws) => echo(ws),
  '/headers': (ws, query, request) => {
    const headers = [];
    for (let i = 0; i < request.rawHeaders.length; i += 2) headers.push(request.rawHeaders.slice(i, i + 2));
    ws.send(JSON.stringify({ path: request.url, headers }));
    echo(ws);
  },
  '/ping': (ws, query) => {
    ws.once('pong', (data) => {
      say('pong', data.toString());
      ws.send('ponged');
    });
    ws.ping(query.get('data') ?? 'are you there');
    echo(ws);
  },
  '/close': (ws, query) => {
    ws.once('message', (data, binary) => {
      note(data, binary);
      ws.close(number(query, 'code', 1000), query.get('reason') ?? '');
    });
  },
  '/bye': (ws, query) => ws.close(number(query, 'code', 1000), query.get('reason') ?? ''),
  '/fragment': (ws, query) => echoPieces(ws, number(query, 'size', 1)),
  '/interleave': (ws, query) => echoPieces(ws, number(query, 'size', 1), (index) => ws.ping(String(index))),
  '/big': (ws, query) => {
    ws.send(Buffer.from(Array.from({ length: number(query, 'size', 1000000) }, (_, i) => i % 251)));
    echo(ws);
  },
  '/bigtext': (ws, query) => {
    ws.send('x'.repeat(number(query, 'size', 1000000)));
    echo(ws);
  },
  '/burst': (ws, query) => {
    for (let i = 0; i < number(query, 'count', 100); ++i) ws.send(String(i));
    echo(ws);
  },
  '/drop': (ws) => {
    ws.once('message', (data, binary) => {
      note(data, binary);
      ws.terminate();
    });
  },
};

const chosen = options.subprotocols ? options.subprotocols.split(',') : [];
const server = new WebSocketServer({
  host: '127.0.0.1',
  port: Number(options.port),
  maxPayload: Number(options['max-size']),
  perMessageDeflate: options.deflate,
  handleProtocols: (offered) => chosen.find((name) => offered.has(name)) ?? false,
});
server.on('listening', () => say('port', server.address().port));
server.on('error', (error) => {
  process.stderr.write(error.message + '\n');
  process.exit(1);
});
server.on('connection', (ws, request) => {
  say('open', request.url);
  ws.on('error', () => {});  // 'close' tells of it
  ws.on('close', (code, reason) => say('close', code, reason.toString()));
  const url = new URL(request.url, 'http://127.0.0.1');
  (modes[url.pathname] ?? modes['/echo'])(ws, url.searchParams, request);
});

function stop() {
  for (const ws of server.clients) ws.close(1001);
  server.close(() => process.exit(0));
  setTimeout(() => process.exit(0), 2000).unref();
}
process.on('SIGTERM', stop);
process.on('SIGINT', stop);
if (options.stdin) process.stdin.on('end', stop).resume();
