// Runs in the `node` that runs people's functions. It waits warm, is told once which function it is, and then answers
// events one after the other, as AWS's own runtime does. The first frame is the order, the others are events.
// Lambda Developer Guide, "Building Lambda functions with Node.js".
'use strict';

const Module = require('node:module');
const Channel = require('./channel.js');
const { waitForDebugger } = require('./debugger.js');
const { begin } = require('./function.js');
const { lookInFolders } = require('./modules.js');

const waiting = [];
let busy = false;
let answer = null;  // Once there is a function.

const channel = new Channel(Number(process.argv[2]), (frame) => { waiting.push(frame); take(); });
const preloaded = process.argv.slice(3);
process.argv.splice(1, process.argv.length, '/var/runtime/index.mjs');
for (const name of preloaded) {
  try { require(name); } catch { /* The function will say itself what it misses. */ }
}

// While something runs, only that keeps the process going: Node then tells when nothing is left to do.
function take() {
  if (busy || !waiting.length) return;
  busy = true;
  channel.holds(false);
  const frame = waiting.shift();
  if (answer) answer(...Channel.event(frame), done); else become(JSON.parse(frame.toString()));
}

function done() {
  busy = false;
  channel.holds(true);
  take();
}

// -- from a waiting process to a function's --

async function become(order) {
  const began = process.hrtime.bigint();
  takeOn(order);
  if (order.uses_v2) require('./redirect_sdk_v2.js');
  if (order.modules_by_path) lookInFolders(order.node_path);
  answer = await begin(channel, order, () => order.debug && waitForDebugger(channel, order.debug));
  const ms = Number(process.hrtime.bigint() - began) / 1e6;
  channel.say('I', JSON.stringify({ init_ms: ms, pid: process.pid }));
  done();
}

function takeOn(order) {
  for (const name of Object.keys(process.env)) delete process.env[name];
  Object.assign(process.env, order.environment);
  const asked = order.environment.NODE_PATH ? [order.environment.NODE_PATH] : [];
  process.env.NODE_PATH = [...asked, ...order.node_path, order.code].join(':');
  Module._initPaths();
  process.chdir(order.code);
}
