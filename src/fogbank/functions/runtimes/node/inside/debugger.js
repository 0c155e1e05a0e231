// A process that waits for a debugger, before its function is loaded.
'use strict';

const net = require('node:net');
const path = require('node:path');

const HOST = '127.0.0.1';
const AGAIN_MS = 50;
const COMPANION = path.join(__dirname, 'companion.js');

// Who waits does nothing else: another thread tells where, and sees to it that the server is still there.
async function waitForDebugger(channel, { port }) {
  const inspector = require('node:inspector');
  const { Worker } = require('node:worker_threads');
  while (port && !(await isFree(port))) await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
  inspector.open(port, HOST, false);
  const begins = new Int32Array(new SharedArrayBuffer(4));
  const workerData = { begins, parent: process.ppid, ...channel.told('D', inspector.url()) };
  const companion = new Worker(COMPANION, { workerData, execArgv: [], env: {} });
  await new Promise((resolve, reject) => { companion.once('online', resolve).once('error', reject); });
  Atomics.store(begins, 0, 1);
  Atomics.notify(begins, 0);
  inspector.waitForDebugger();
  companion.terminate();
}

// An instance before this one may still be at its last event there.
function isFree(port) {
  return new Promise((resolve) => {
    const trial = net.createServer();
    trial.once('error', () => resolve(false));
    trial.listen(port, HOST, () => trial.close(() => resolve(true)));
  });
}

module.exports = { waitForDebugger };
