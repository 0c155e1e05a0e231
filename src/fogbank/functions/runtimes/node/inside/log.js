// The console in Lambda's form: time, request and level before each line, or a JSON object a line.
// Lambda Developer Guide, "Log and monitor Node.js Lambda functions", and "Configuring advanced logging controls".
'use strict';

const fs = require('node:fs');
const util = require('node:util');
const client = require('./client.js');
const { asError, className, told } = require('./errors.js');
const { store, begin } = require('./store.js');

const LEVELS = ['TRACE', 'DEBUG', 'INFO', 'WARN', 'ERROR', 'FATAL'];
// Libraries look for it here, up to Node.js 22.
const REQUEST_ID = Symbol.for('aws.lambda.runtime.requestId');
const pause = new Int32Array(new SharedArrayBuffer(4));
let asJson = false;
let writeError = () => {};

// The pipe may be one that does not wait: whoever writes to process.stdout makes it so.
function write(line) {
  let rest = Buffer.from(line);
  while (rest.length) {
    try {
      rest = rest.subarray(fs.writeSync(1, rest));
    } catch (error) {
      if (error.code !== 'EAGAIN') return;  // Nobody reads any more: this process is about to be ended.
      Atomics.wait(pause, 0, 0, 1);
    }
  }
}

function text(level, parts) {
  const line = `${new Date().toISOString()}\t${requestId()}\t${level}\t${util.format(...parts)}`;
  return line.replace(/\n/g, '\r');  // It stands for a line's end inside one event.
}

function json(level, parts) {
  const line = { timestamp: new Date().toISOString(), level, requestId: requestId() };
  if (parts.length === 1) {
    try {
      return JSON.stringify({ ...line, message: parts[0] }, (_, value) => (value instanceof Error ? facts(value, value) : value));
    } catch {
      return JSON.stringify({ ...line, message: util.format(parts[0]) });
    }
  }
  const error = parts.find((part) => part instanceof Error);
  return JSON.stringify({ ...line, message: util.format(...parts), ...(error ? facts(error) : {}) });
}

function facts(error, more = {}) {
  const stackTrace = typeof error.stack === 'string' ? error.stack.split('\n') : error.stack;
  return { errorType: className(error), errorMessage: error.message, stackTrace, ...more };
}

// Once the function's environment is there.
function patchConsole() {
  asJson = (process.env.AWS_LAMBDA_LOG_FORMAT ?? '').toUpperCase() === 'JSON';
  const format = asJson ? json : text;
  const lowest = LEVELS.indexOf((process.env.AWS_LAMBDA_LOG_LEVEL ?? '').toUpperCase());
  const writer = (level) => (LEVELS.indexOf(level) < lowest ? () => {} : (first, ...parts) => write(`${format(level, [first, ...parts])}\n`));
  for (const level of LEVELS) console[level.toLowerCase()] = writer(level);
  console.log = console.info;
  writeError = console.error;
}

function logError(message, error) {
  if (asJson) writeError(asError(error)); else writeError(message, `\t${told(asError(error))}`);
}

function follow(facts) {
  if (client.isNewer) begin(facts); else globalThis[REQUEST_ID] = facts.id;
}

// Before the first event there is none.
function requestId() {
  return client.isNewer ? store.getRequestId() : globalThis[REQUEST_ID];
}

module.exports = { patchConsole, logError, follow };
