// One event: its context, the handler's way of answering (async, callback, streaming), and the answer.
// Lambda Developer Guide, "Using the Lambda context object to retrieve Node.js function information".
'use strict';

const client = require('./client.js');
const { RuntimeError, document } = require('./errors.js');
const log = require('./log.js');
const streams = require('./streams.js');

const REPLY_BYTES_MAX = 6 * 1024 * 1024 + 100;
const ONCE = 'Invocation has already been reported as done. Cannot call complete more than once per invocation.';
const NEVER_SETTLED = 'The Lambda runtime client detected an unexpected Node.js exit code. This is most commonly caused '
  + 'by a Promise that was never settled. For more information, see '
  + 'https://nodejs.org/docs/latest/api/process.html#exit-codes';
const NOT_ASYNC = 'Streaming does not support non-async handlers.';
const CALLBACKS_GONE = 'ERROR: AWS Lambda has removed support for callback-based function handlers starting with '
  + 'Node.js 24. You need to modify this function to use a supported handler signature to use Node.js 24 or later. For '
  + 'more information see https://docs.aws.amazon.com/lambda/latest/dg/nodejs-handler.html.';

let whenIdle = null;  // What to do once the event loop has nothing left.
let open = false;  // An answer is owed.

// How this handler answers an event; `done` is called when the next may come. Raises what ends an init.
function answering(channel, handler) {
  const isStreaming = streams.streams(handler);
  if (client.isNewer && handler.length >= 3 && !isStreaming) {
    throw new RuntimeError('CallbackHandlerDeprecated', CALLBACKS_GONE);
  }
  const run = isStreaming ? runStreaming : client.isNewer ? runAsync : runWithCallbacks;
  return (facts, payload, done) => {
    log.follow(facts);
    if (facts.trace) process.env._X_AMZN_TRACE_ID = facts.trace; else delete process.env._X_AMZN_TRACE_ID;
    whenIdle = null;
    open = true;
    run(new Invocation(channel, done), handler, JSON.parse(payload.toString()), facts);
  };
}

function outOfWork(status) {
  const then = whenIdle;
  whenIdle = null;
  if (then) then(); else process.exit(status);
}

class Invocation {
  #channel;
  #done;
  #isOver = false;

  constructor(channel, done) {
    this.#channel = channel;
    this.#done = done;
  }

  get channel() { return this.#channel; }

  reply(result) {
    if (this.#isOver) {
      console.error(ONCE);
      return;
    }
    let body;
    try {
      body = JSON.stringify(result === undefined ? null : result);
    } catch {
      this.fail(cannotStringify());
      return;
    }
    if (body === undefined) {  // A function, a symbol: JSON has no text for it, and Lambda's client takes nothing else.
      this.fail(new TypeError('Wrong arguments'));
      return;
    }
    if (Buffer.byteLength(body) > REPLY_BYTES_MAX) {
      this.#end('X', JSON.stringify({ errorType: 'Function.ResponseSizeTooLarge',
        errorMessage: 'Response payload size exceeded maximum allowed payload size (6291556 bytes).' }));
    } else {
      this.#end('R', body);
    }
  }

  fail(error) {
    if (this.#isOver) return;
    log.logError('Invoke Error', error);
    this.#end('X', JSON.stringify(document(error)));
  }

  // A stream's end; the next event may have to wait for what goes on behind it.
  finish(isLast) {
    this.#end('E', '', !isLast);
  }

  next() { this.#done(); }

  #end(kind, body, waits = false) {
    this.#isOver = true;
    open = false;
    whenIdle = null;
    this.#channel.say(kind, body);
    if (!waits) this.#done();
  }
}

function cannotStringify() {
  const text = 'Unable to stringify response body';
  return client.isNewer ? new RuntimeError('JSONStringifyError', text) : new Error(text);
}

// -- the three ways --

async function runAsync(invocation, handler, event, facts) {
  try {
    invocation.reply(await handler(event, newerContext(facts)));
  } catch (error) {
    invocation.fail(error);
  }
}

// Up to Node.js 22: a promise, a callback, or context.succeed and its like, whichever speaks first.
function runWithCallbacks(invocation, handler, event, facts) {
  let waits = true;
  let isSaid = false;
  // Only the first call of any of them counts; one that throws was none.
  const first = (call) => (...all) => {
    if (isSaid) return;
    call(...all);
    isSaid = true;
  };
  const settle = (error, result) => {
    whenIdle = null;
    if (error !== undefined && error !== null) invocation.fail(error); else invocation.reply(result);
  };
  const callback = first((error, result) => {
    const isError = error !== undefined && error !== null;
    if (isError || !waits) settle(error, result); else whenIdle = () => settle(null, result);
  });
  const context = {
    get callbackWaitsForEmptyEventLoop() { return waits; },
    set callbackWaitsForEmptyEventLoop(value) { waits = value; },
    succeed: first((result) => settle(null, result)),
    fail: first((error) => settle(error ?? 'handled')),
    done: first(settle),
  };
  const { succeed, fail } = context;
  const isAsync = handler.constructor?.name === 'AsyncFunction';
  whenIdle = () => (isAsync ? invocation.fail(new RuntimeError('NodeJsExit', NEVER_SETTLED)) : invocation.reply(null));
  try {
    const result = handler(event, fill(context, facts), callback);
    if (typeof result?.then === 'function') result.then(succeed, fail).catch(fail);
  } catch (error) {
    callback(error);
  }
}

async function runStreaming(invocation, handler, event, facts) {
  const context = client.isNewer ? newerContext(facts) : fill({ callbackWaitsForEmptyEventLoop: true }, facts);
  const stream = streams.open(invocation.channel, handler);
  const finished = new Promise((resolve, reject) => { stream.once('finish', resolve).once('error', reject); });
  finished.catch(() => {});  // The handler has heard of it too.
  invocation.channel.holds(true);  // An open answer keeps the process going, as an open request does in Lambda.
  try {
    const running = handler(event, stream, context);
    if (typeof running?.then !== 'function') throw client.isNewer ? new Error(NOT_ASYNC) : NOT_ASYNC;
    if (await running !== undefined) console.warn('Streaming handlers ignore return values.');
    await finished;
  } catch (error) {
    if (!stream.writableEnded) {
      invocation.fail(error);
      return;
    }
    log.logError('Invoke Error', error);  // The answer was whole before: that cannot be taken back.
    await finished.catch(() => {});
  }
  const waits = Boolean(context.callbackWaitsForEmptyEventLoop) && !client.isNewer;
  invocation.finish(!waits);
  if (waits) {
    invocation.channel.holds(false);
    whenIdle = () => invocation.next();
  }
}

// -- what the handler is given --

// Up to Node.js 22: behind what the handler may call.
function fill(context, facts) {
  const { functionName, functionVersion, ...more } = ofInstance();
  return Object.assign(context, { functionVersion, functionName, ...more, ...ofEvent(facts), ...remaining(facts) });
}

function newerContext(facts) {
  return { ...ofEvent(facts), xRayTraceId: facts.trace, ...remaining(facts), ...ofInstance() };
}

function ofInstance() {
  const env = process.env;
  return {
    functionName: env.AWS_LAMBDA_FUNCTION_NAME,
    functionVersion: env.AWS_LAMBDA_FUNCTION_VERSION,
    memoryLimitInMB: env.AWS_LAMBDA_FUNCTION_MEMORY_SIZE,
    logGroupName: env.AWS_LAMBDA_LOG_GROUP_NAME,
    logStreamName: env.AWS_LAMBDA_LOG_STREAM_NAME,
  };
}

function ofEvent(facts) {
  return {
    clientContext: facts.client_context ? JSON.parse(facts.client_context) : undefined,
    identity: facts.identity ? JSON.parse(facts.identity) : undefined,
    invokedFunctionArn: facts.arn,
    awsRequestId: facts.id,
    tenantId: undefined,
  };
}

function remaining(facts) {
  return { getRemainingTimeInMillis: () => facts.deadline_ms - Date.now() };
}

function isOpen() { return open; }

module.exports = { answering, outOfWork, isOpen };
