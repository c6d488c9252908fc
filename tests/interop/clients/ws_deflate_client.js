// The same client as ws_deflate_client.py (see there), on Node's `ws`.
//
//     node ws_deflate_client.js URL PARAMETERS...

'use strict';

const WebSocket = require('ws');

const camel = (name) => name.replace(/_(.)/g, (_, letter) => letter.toUpperCase());

function options(text) {
  const made = { threshold: 0 };
  for (const one of text.split(',').filter((name) => name !== 'any')) {
    const [name, value] = one.split('=');
    made[camel(name)] = value ? Number(value) : true;
  }
  return made;
}

function payloads() {
  let state = 5;
  const random = (n) => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return (state >>> 8) % n;
  };
  const made = [];
  for (let round = 0; round < 2; ++round) {
    for (const size of [0, 1, 63, 64, 125, 126, 1000, 65535, 65536, 100000]) {
      let words = '';
      while (words.length < size) words += `${random(1000)} `;
      made.push(words.slice(0, size), Buffer.from(Array.from({ length: size }, () => random(256))));
    }
    made.push(Array.from({ length: 5000 }, () => 'Aä€😀'.slice(0, 1 + random(3))).join(''));
  }
  return made;
}

function run(url, text) {
  return new Promise((done) => {
    const ws = new WebSocket(url, { perMessageDeflate: options(text) });
    const all = payloads();
    let index = 0;
    const next = () => {
      if (index === all.length) return ws.close();
      const data = Buffer.from(all[index]);
      const binary = typeof all[index] !== 'string';
      if (index % 3 !== 2 || data.length === 0) return ws.send(data, { binary });
      for (let at = 0; at < data.length; at += 777) {
        ws.send(data.subarray(at, at + 777), { binary, fin: at + 777 >= data.length });
      }
    };
    ws.on('open', next);
    ws.on('message', (data, binary) => {
      const same = data.equals(Buffer.from(all[index])) && binary === (typeof all[index] !== 'string');
      if (!same) return done(`message ${index} came back different; ${ws.extensions}`), ws.terminate();
      ++index;
      next();
    });
    ws.on('error', (e) => done(`${text}: ${e}`));
    ws.on('close', (code) => done(index === all.length ? `ok ${ws.extensions}` : `${text}: closed with ${code}`));
  });
}

(async () => {
  const [url, ...parameters] = process.argv.slice(2);
  const report = ['report'];
  for (const text of parameters) report.push(await run(url, text));
  const ws = new WebSocket(url, { perMessageDeflate: false });
  ws.on('open', () => ws.send(report.join('\n')));
})();
