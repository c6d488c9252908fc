// TLS clients that we did not write (Node's tls and `ws`), for the tests.
//
//     node tls_client.js wss PORT CAFILE HOST
//         connects to wss://HOST:PORT, trusting CAFILE alone, sends `hello`, and prints
//         what comes back or the code of what is wrong with the server's certificate
//     node tls_client.js half-close PORT CAFILE VERSION
//         asks one line, ends its direction, and prints how much comes before the end

'use strict';

const fs = require('fs');
const tls = require('tls');
const WebSocket = require('ws');

const [what, port, cafile, detail] = process.argv.slice(2);
const ca = fs.readFileSync(cafile);

function wss() {
  const ws = new WebSocket(`wss://${detail}:${port}/`, { ca });
  ws.on('open', () => ws.send('hello'));
  ws.on('message', (data) => {
    console.log(data.toString());
    ws.close(1000);
  });
  ws.on('error', (error) => console.log(error.code));
}

function halfClose() {
  const options = { port, ca, servername: 'localhost', minVersion: detail, maxVersion: detail, allowHalfOpen: true };
  const socket = tls.connect(options, () => socket.end('all of it\n'));
  let size = 0;
  socket.on('data', (piece) => (size += piece.length));
  socket.on('end', () => console.log(`${size} bytes, then the end`));
  socket.on('error', (error) => console.log(error.message));
}

setTimeout(() => process.exit(1), 20000).unref();
what === 'wss' ? wss() : halfClose();
