// The same server as tls_server.py (see there), on Node's https and `ws`.
//
//     node tls_server.js CERT

'use strict';

const fs = require('fs');
const https = require('https');
const { WebSocketServer } = require('ws');

const pem = fs.readFileSync(process.argv[2]);
const server = https.createServer({ cert: pem, key: pem });
new WebSocketServer({ server }).on('connection', (ws) => {
  ws.on('message', (data, binary) => ws.send(data, { binary }));
  ws.on('close', (code, reason) => console.log(`close ${code} ${reason}`));
});
server.listen(0, '127.0.0.1', () => console.log(`port ${server.address().port}`));
process.stdin.on('end', () => process.exit(0)).resume();
