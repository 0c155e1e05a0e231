// Runs in the `node` that runs a web application of Google's: it waits warm, is told once which function it is, and then
// is what the cloud starts, the functions-framework's own program. Whatever listens at $PORT is reached at the socket
// that this process was born with.
'use strict';

const http = require('node:http');
const Module = require('node:module');
const net = require('node:net');
const fs = require('node:fs');
const path = require('node:path');
const Channel = require('./channel.js');
const { redirect } = require('./redirect_google.js');
const { waitForDebugger } = require('./debugger.js');
const { lookInFolders } = require('./modules.js');

const FRAMEWORK = '@google-cloud/functions-framework/build/src/main.js';
const listening = Number(process.argv[3]);
const preloaded = process.argv.slice(4);
const channel = new Channel(Number(process.argv[2]), (frame) => become(JSON.parse(frame.toString())));

for (const name of preloaded) {
  try { require(name); } catch { /* The function will say itself what it misses. */ }
}

async function become(order) {
  const began = process.hrtime.bigint();
  for (const name of Object.keys(process.env)) delete process.env[name];
  Object.assign(process.env, order.environment);
  const asked = order.environment.NODE_PATH ? [order.environment.NODE_PATH] : [];
  process.env.NODE_PATH = [...asked, ...order.node_path].join(':');
  Module._initPaths();
  process.chdir(order.code);
  redirect((order.environment.GCE_METADATA_HOST ?? '').split('/')[0]);
  if (order.modules_by_path) lookInFolders(order.node_path);
  if (order.debug) await waitForDebugger(channel, order.debug);
  const program = programOf(order);
  process.argv.splice(1, process.argv.length, program);
  listenHere(() => {
    const ms = Number(process.hrtime.bigint() - began) / 1e6;
    channel.say('I', JSON.stringify({ init_ms: ms, pid: process.pid }));
  });
  channel.holds(false);
  require(program);
}

function programOf(order) {
  const found = [path.join(order.code, 'node_modules'), ...order.node_path].map((folder) => path.join(folder, FRAMEWORK));
  return found.find((file) => fs.existsSync(file)) ?? found.at(-1);
}

function listenHere(told) {
  const listen = net.Server.prototype.listen;
  net.Server.prototype.listen = function (...all) {
    const [first] = all;
    const port = typeof first === 'object' && first !== null ? first.port : first;
    if (port === undefined || String(port) !== process.env.PORT) return listen.apply(this, all);
    net.Server.prototype.listen = listen;
    this.once('listening', told);
    if (this instanceof http.Server) {  // The connections are fogbank's, which keeps them.
      this.keepAliveTimeout = 0;
      this.requestTimeout = 0;
      this.headersTimeout = 0;
    }
    return listen.call(this, { fd: listening }, all.find((one) => typeof one === 'function'));
  };
}
