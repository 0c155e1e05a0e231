// Runs in the `node` that runs people's functions. It waits warm, is told once which function it is, and then answers
// events, as AWS's own runtime does. Lambda Developer Guide, "Building Lambda functions with Node.js".
// Frames both ways: four bytes of length, then the body. The first frame is the order; the others are events: six
// fields that each end in a NUL, then the event. Answers are a letter (I: initialised, R: reply, X: error, F: error, and this
// process ends), a byte that says that lines may wait in the log's pipe, peak memory in KB, and a body.
'use strict';

const fs = require('node:fs');
const net = require('node:net');
const path = require('node:path');
const util = require('node:util');
const Module = require('node:module');
const { pathToFileURL } = require('node:url');

const REPLY_BYTES_MAX = 6 * 1024 * 1024 + 100;
const events = new net.Socket({ fd: Number(process.argv[2]), readable: true, writable: true });
let buffer = Buffer.alloc(0);
let handler = null;
let requestId = '';
let busy = false;
const waiting = [];

function say(kind, body) {
  const content = Buffer.from(body);
  const head = Buffer.alloc(10);
  head.writeUInt32BE(content.length + 6, 0);
  head.write(kind, 4, 'latin1');
  head.writeUInt8(1, 5);
  head.writeUInt32BE(process.resourceUsage().maxRSS, 6);
  return new Promise((resolve) => events.write(Buffer.concat([head, content]), resolve));
}

events.on('data', (data) => {
  buffer = buffer.length ? Buffer.concat([buffer, data]) : data;
  while (buffer.length >= 4) {
    const size = buffer.readUInt32BE(0);
    if (buffer.length < 4 + size) return;
    waiting.push(buffer.subarray(4, 4 + size));
    buffer = buffer.subarray(4 + size);
  }
  take();
});
events.on('close', () => process.exit(0));
events.on('error', () => process.exit(0));

function take() {
  if (busy || !waiting.length) return;
  busy = true;
  const frame = waiting.shift();
  const step = handler ? answer(frame) : become(JSON.parse(frame.toString()));
  step.catch((error) => { process.stderr.write(`${error.stack}\n`); process.exit(1); });
}

function done() {
  busy = false;
  take();
}

// -- from a waiting process to a function's --

async function become(order) {
  const began = process.hrtime.bigint();
  for (const name of Object.keys(process.env)) delete process.env[name];
  Object.assign(process.env, order.environment);
  process.env.NODE_PATH = [...order.layers.map((layer) => path.join(layer, 'nodejs', 'node_modules')), ...order.node_path].join(':');
  Module._initPaths();
  process.chdir(order.code);
  patchConsole();
  try {
    handler = await load(order.code, order.handler);
  } catch (error) {
    const document = initError(error);
    console.error('Uncaught Exception', `\t${JSON.stringify(document)}`);
    await say('X', JSON.stringify({ ...document, requestId: '' }));
    process.exit(1);
  }
  const ms = Number(process.hrtime.bigint() - began) / 1e6;
  await say('I', JSON.stringify({ init_ms: ms, pid: process.pid }));
  done();
}

class HandlerError extends Error {
  constructor(type, message) { super(message); this.name = type; }
}

async function load(root, name) {
  const slash = name.lastIndexOf('/');
  const folder = slash < 0 ? '' : name.slice(0, slash);
  const parts = name.slice(slash + 1).split('.');
  if (parts.length < 2) throw new HandlerError('Runtime.MalformedHandlerName', 'Bad handler');
  const file = path.resolve(root, folder, parts[0]);
  const module = await loadModule(file, path.join(folder, parts[0]));
  const found = parts.slice(1).reduce((object, key) => (object === undefined ? undefined : object[key]), module);
  if (found === undefined) throw new HandlerError('Runtime.HandlerNotFound', `${name} is undefined or not exported`);
  if (typeof found !== 'function') throw new HandlerError('Runtime.HandlerNotFound', `${name} is not a function`);
  return found;
}

async function loadModule(file, name) {
  const candidates = [file, `${file}.js`, `${file}.mjs`, `${file}.cjs`].filter((candidate) => isFile(candidate));
  if (!candidates.length) {
    throw new HandlerError('Runtime.ImportModuleError', `Error: Cannot find module '${name}'\nRequire stack:\n- /var/runtime/index.mjs`);
  }
  const [found] = candidates;
  try {
    if (found.endsWith('.mjs') || (!found.endsWith('.cjs') && isModuleType(path.dirname(found)))) {
      const loaded = await import(pathToFileURL(found).href);
      return loaded;
    }
    return require(found);
  } catch (error) {
    if (error instanceof SyntaxError) throw new HandlerError('Runtime.UserCodeSyntaxError', `SyntaxError: ${error.message}`);
    if (error && (error.code === 'MODULE_NOT_FOUND' || error.code === 'ERR_MODULE_NOT_FOUND')) {
      throw new HandlerError('Runtime.ImportModuleError', `Error: ${error.message}`);
    }
    throw error;
  }
}

function isFile(candidate) {
  try { return fs.statSync(candidate).isFile(); } catch { return false; }
}

function isModuleType(folder) {
  for (let at = folder; ; at = path.dirname(at)) {
    const manifest = path.join(at, 'package.json');
    if (isFile(manifest)) {
      try { return JSON.parse(fs.readFileSync(manifest, 'utf8')).type === 'module'; } catch { return false; }
    }
    if (at === path.dirname(at)) return false;
  }
}

// -- events --

// An event begins with fields that each end in a NUL.
function read(frame) {
  const facts = {};
  let start = 0;
  for (const name of ['id', 'arn', 'deadline_ms', 'trace', 'client_context', 'identity']) {
    const end = frame.indexOf(0, start);
    facts[name] = frame.subarray(start, end).toString();
    start = end + 1;
  }
  return [facts, frame.subarray(start)];
}

async function answer(frame) {
  const [facts, payload] = read(frame);
  requestId = facts.id;
  process.env._X_AMZN_TRACE_ID = facts.trace;
  let settled = false;
  const settle = async (kind, body) => {
    if (settled) return;
    settled = true;
    await say(kind, body);
    done();
  };
  const failed = (error) => settle('X', told(error));
  const succeeded = (result) => {
    let body;
    try {
      body = JSON.stringify(result === undefined ? null : result) ?? 'null';
    } catch (error) {
      return failed(new HandlerError('Runtime.MarshalError', `Unable to stringify response body: ${error.message}`));
    }
    if (Buffer.byteLength(body) > REPLY_BYTES_MAX) {
      return settle('X', JSON.stringify({ errorType: 'Function.ResponseSizeTooLarge',
        errorMessage: 'Response payload size exceeded maximum allowed payload size (6291556 bytes).' }));
    }
    return settle('R', body);
  };
  current = { ends: (error) => settle('F', told(error)) };
  let event;
  try {
    event = JSON.parse(payload.toString());
  } catch (error) {
    await failed(error);
    return;
  }
  const context = makeContext(facts);
  const finish = (error, result) => {
    const reply = () => (error === undefined || error === null ? succeeded(result) : failed(error));
    if (context.callbackWaitsForEmptyEventLoop) whenIdle(reply); else reply();
  };
  context.done = finish;
  context.succeed = (result) => succeeded(result);
  context.fail = (error) => failed(error ?? 'handled');
  try {
    const result = handler(event, context, finish);
    if (result && typeof result.then === 'function') result.then(succeeded, failed);
    else if (handler.length < 3 && !settled) whenIdle(() => succeeded(null));
  } catch (error) {
    await failed(error);
  }
}

// The socket itself keeps the loop alive: it is set aside while we wait for everything else to end.
function whenIdle(reply) {
  events.unref();
  const onIdle = () => { events.ref(); reply(); };
  process.once('beforeExit', onIdle);
}

let current = null;
for (const name of ['uncaughtException', 'unhandledRejection']) {
  process.on(name, (error) => {
    if (current && handler) {
      const rejected = name === 'unhandledRejection';
      const told = rejected ? unhandled(error) : error;
      console.error(rejected ? 'Unhandled Promise Rejection' : 'Uncaught Exception', `\t${JSON.stringify(describe(told))}`);
      current.ends(told).then(() => process.exit(rejected ? 128 : 129));
    } else {
      process.stderr.write(`${error && error.stack}\n`);
      process.exit(129);
    }
  });
}

function makeContext(facts) {
  const env = process.env;
  const identity = facts.identity ? JSON.parse(facts.identity) : undefined;
  return {
    callbackWaitsForEmptyEventLoop: true,
    functionVersion: env.AWS_LAMBDA_FUNCTION_VERSION,
    functionName: env.AWS_LAMBDA_FUNCTION_NAME,
    memoryLimitInMB: env.AWS_LAMBDA_FUNCTION_MEMORY_SIZE,
    logGroupName: env.AWS_LAMBDA_LOG_GROUP_NAME,
    logStreamName: env.AWS_LAMBDA_LOG_STREAM_NAME,
    clientContext: facts.client_context ? JSON.parse(facts.client_context) : undefined,
    identity,
    invokedFunctionArn: facts.arn,
    awsRequestId: facts.id,
    getRemainingTimeInMillis: () => Math.max(facts.deadline_ms - Date.now(), 0),
  };
}

function unhandled(reason) {
  const error = new HandlerError('Runtime.UnhandledPromiseRejection', String(reason));
  if (reason && reason.stack) error.stack = `${error.name}: ${reason.stack}`;
  return error;
}

function describe(error) {
  if (error instanceof Error || (error && typeof error === 'object' && 'message' in error && 'stack' in error)) {
    return { errorType: error.name || 'Error', errorMessage: error.message, stack: String(error.stack).split('\n') };
  }
  return { errorType: typeof error, errorMessage: typeof error === 'string' ? error : util.inspect(error), stack: [] };
}

function told(error) {
  const facts = describe(error);
  console.error('Invoke Error', `\t${JSON.stringify(facts)}`);
  return JSON.stringify({ errorType: facts.errorType, errorMessage: facts.errorMessage, trace: facts.stack });
}

function initError(error) {
  const facts = describe(error);
  return { errorType: facts.errorType, errorMessage: facts.errorMessage, stackTrace: facts.stack };
}

// -- console, in Lambda's form: time, request, level, message; \r stands for a line's end inside one event --

function patchConsole() {
  const write = (level) => (...parts) => {
    const line = `${new Date().toISOString()}\t${requestId || 'undefined'}\t${level}\t${util.format(...parts)}`;
    fs.writeSync(1, `${line.replace(/\n/g, '\r')}\n`);
  };
  Object.assign(console, { log: write('INFO'), info: write('INFO'), warn: write('WARN'), error: write('ERROR'),
    debug: write('DEBUG'), trace: write('TRACE') });
}
