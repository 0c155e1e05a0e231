// Response streaming: the global `awslambda` (and what else stands in it), and the stream that a handler made with it writes to.
// Lambda Developer Guide, "Response streaming for Lambda functions".
'use strict';

const { Writable } = require('node:stream');
const client = require('./client.js');
const { RuntimeError } = require('./errors.js');
const { store } = require('./store.js');

const STREAMING = Symbol.for('aws.lambda.runtime.handler.streaming');
const HIGH_WATER_MARK = Symbol.for('aws.lambda.runtime.handler.streaming.highWaterMark');
const PIECE_BYTES_MAX = 64 * 1024;
const HTTP_TYPE = 'application/vnd.awslambda.http-integration-response';
const DELIMITER = new Uint8Array(8);  // Between a response's metadata and its body.

class ResponseStream extends Writable {
  #channel;
  #begun = false;
  #contentType = 'application/octet-stream';

  constructor(channel, highWaterMark) {
    super(highWaterMark ? { highWaterMark } : {});
    this.#channel = channel;
  }

  setContentType(type) {
    if (this.#begun) throw new RuntimeError('InvalidStreamingOperation', 'Cannot set content-type, too late.');
    this.#contentType = String(type);
  }

  // What is neither text nor bytes is written as JSON.
  write(chunk, encoding, callback) {
    const content = typeof chunk === 'string' || chunk instanceof Uint8Array ? chunk : JSON.stringify(chunk);
    const before = this._onBeforeFirstWrite;
    if (!this.#begun && typeof before === 'function') before((first) => super.write(first));
    this.#begin();
    return super.write(content, encoding, callback);
  }

  // A piece is done with once the kernel has it: so the handler feels how fast its reader is.
  _write(chunk, _, done) {
    this.#begin();
    for (let at = 0; at < chunk.length; at += PIECE_BYTES_MAX) {
      const isLast = at + PIECE_BYTES_MAX >= chunk.length;
      this.#channel.say('P', chunk.subarray(at, at + PIECE_BYTES_MAX), isLast ? done : undefined);
    }
    if (!chunk.length) done();
  }

  _final(done) {
    this.#begin();
    done();
  }

  #begin() {
    if (!this.#begun) this.#channel.say('H', this.#contentType);
    this.#begun = true;
  }
}

// The metadata goes out before what is written first: as in Lambda, not before a lone end().
class HttpResponseStream {
  static from(stream, metadata) {
    stream.setContentType(HTTP_TYPE);
    const prelude = JSON.stringify(metadata);
    stream._onBeforeFirstWrite = (write) => { write(prelude); write(DELIMITER); };
    return stream;
  }
}

function defineGlobal() {
  if (['1', 'true'].includes(process.env.AWS_LAMBDA_NODEJS_NO_GLOBAL_AWSLAMBDA)) return;
  globalThis.awslambda = {
    ...(client.isNewer ? { InvokeStore: store } : {}),
    streamifyResponse(handler, options) {
      handler[STREAMING] = 'response';
      if (typeof options?.highWaterMark === 'number') handler[HIGH_WATER_MARK] = Math.trunc(options.highWaterMark);
      return handler;
    },
    HttpResponseStream,
  };
}

// Raises for what Lambda does not stream: only answers are.
function streams(handler) {
  if (!handler[STREAMING]) return false;
  if (handler[STREAMING] === 'response') return true;
  throw new RuntimeError('MalformedStreamingHandler', 'Only response streaming is supported.');
}

function open(channel, handler) {
  return new ResponseStream(channel, Number(handler[HIGH_WATER_MARK]) || undefined);
}

module.exports = { defineGlobal, streams, open };
