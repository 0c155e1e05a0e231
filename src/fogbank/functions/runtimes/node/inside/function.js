// A process from the moment it knows its function: its initialisation, and what no handler has caught.
'use strict';

const client = require('./client.js');
const { document, unhandledRejection } = require('./errors.js');
const events = require('./events.js');
const { load } = require('./handlers.js');
const log = require('./log.js');
const streams = require('./streams.js');

// Node's own exit code where nothing is left that could settle what is awaited; the newer client awaits nothing itself.
const UNSETTLED = 13;
const NONE_AWAITED = 0;
let isLoaded = false;

// `before`: a promise that is awaited first. Returns how events are answered; where the initialisation fails, never.
async function begin(channel, { runtime, code, handler }, before = () => {}) {
  client.runs(runtime);
  log.patchConsole();
  streams.defineGlobal();
  if (!client.isNewer) {
    process.on('uncaughtException', (error) => fall(channel, 'Uncaught Exception', error, 129));
    process.on('unhandledRejection', (reason) => fall(channel, 'Unhandled Promise Rejection', unhandledRejection(reason), 128));
  }
  process.on('beforeExit', outOfWork);
  try {
    await before();
    const answer = events.answering(channel, await load(code, handler));
    if (!client.isNewer) await new Promise(setImmediate);  // A rejection that nobody handles is the initialisation's still.
    isLoaded = true;
    return answer;
  } catch (error) {
    log.logError(client.isNewer ? 'Init Error' : 'Uncaught Exception', error);
    channel.say('X', JSON.stringify(document(error)), () => process.exit(client.isNewer ? 1 : 129));
    return new Promise(() => {});
  }
}

function fall(channel, what, error, status) {
  log.logError(what, error);
  const kind = events.isOpen() ? 'F' : isLoaded ? '' : 'X';
  if (!kind) process.exit(status);  // Between two events: nobody waits for an answer.
  channel.say(kind, JSON.stringify(document(error)), () => process.exit(status));
}

function outOfWork() {
  const status = client.isNewer ? NONE_AWAITED : UNSETTLED;
  if (!isLoaded) process.exit(status);
  events.outOfWork(status);
}

module.exports = { begin };
