// Lambda's Runtime API, from the side of the runtime, with the face of a `Channel`: what that puts into frames is asked for
// and told over HTTP. Lambda Developer Guide, "Using the Lambda runtime API for custom runtimes".
'use strict';

// Not `http.request`, which people's tracers take hold of: they would trace this too.
const { Agent, ClientRequest } = require('node:http');

const PREFIX = '/2018-06-01/runtime';
const ERROR_TYPE = 'Lambda-Runtime-Function-Error-Type';
const ERROR_BODY = 'Lambda-Runtime-Function-Error-Body';
const FACTS = {
  id: 'lambda-runtime-aws-request-id', arn: 'lambda-runtime-invoked-function-arn',
  deadline_ms: 'lambda-runtime-deadline-ms', trace: 'lambda-runtime-trace-id',
  client_context: 'lambda-runtime-client-context', identity: 'lambda-runtime-cognito-identity',
};
const FOREVER_MS = 2 ** 31 - 1;

module.exports = class RuntimeApi {
  #host;
  #port;
  #agent = new Agent({ keepAlive: true, maxSockets: 1 });  // One after the other: what is told arrives before the next is asked for.
  #event = '';  // The place of the one that is at work.
  #stream = null;
  #held;

  constructor(address) {
    const colon = address.lastIndexOf(':');
    [this.#host, this.#port] = [address.slice(0, colon), address.slice(colon + 1)];
  }

  // `take` gets the next event's facts and bytes, whenever there is one.
  next(take) {
    this.#ask('GET', '/invocation/next', {}, '', (response, payload) => {
      const facts = {};
      for (const [name, header] of Object.entries(FACTS)) facts[name] = response.headers[header] ?? '';
      this.#event = `/invocation/${encodeURIComponent(facts.id)}`;
      take(facts, payload);
    });
  }

  // `sent` is called once the other side has it.
  say(kind, body, sent = () => {}) {
    switch (kind) {
      case 'H':
        this.#open(body);
        break;
      case 'P':
        this.#stream.write(body, sent);
        break;
      case 'E':
        this.#close({}, sent);
        break;
      case 'R':
        this.#tell(`${this.#event}/response`, {}, body, sent);
        break;
      case 'X':
      case 'F':
        this.#fail(body, sent);
        break;
      default:
        throw new Error(`nothing of the kind ${kind} is told over HTTP`);
    }
  }

  // Where it waits for a debugger, for another thread to say: what, and where. Lambda's has no such thing.
  told(_, address) {
    const bytes = `POST ${PREFIX}/debugger HTTP/1.1\r\nHost: ${this.#host}:${this.#port}\r\nConnection: close\r\n`
      + `Content-Length: ${Buffer.byteLength(address)}\r\n\r\n${address}`;
    return { bytes, host: this.#host, port: this.#port };
  }

  // Whether an open answer keeps this process from being out of work: between two events a request does.
  holds(yes) {
    clearInterval(this.#held);
    if (yes) this.#held = setInterval(() => {}, FOREVER_MS);
  }

  // Of the event, or, before there was one, of the initialisation.
  #fail(body, sent) {
    const type = String(JSON.parse(body).errorType);
    if (this.#stream) {
      this.#close({ [ERROR_TYPE]: encodeURI(type), [ERROR_BODY]: Buffer.from(body).toString('base64') }, sent);
    } else {
      this.#tell(this.#event ? `${this.#event}/error` : '/init/error', { [ERROR_TYPE]: encodeURI(type) }, body, sent);
    }
  }

  #tell(place, headers, body, sent) {
    const length = Buffer.byteLength(body);
    this.#ask('POST', place, { 'Content-Type': 'application/json', 'Content-Length': length, ...headers }, body, sent);
  }

  // A connection that was left idle may have been closed meanwhile: then another is opened, once.
  #ask(method, place, headers, body, done) {
    const request = this.#request(method, place, headers, done);
    request.on('error', (error) => {
      if (request.reusedSocket && error.code === 'ECONNRESET') this.#ask(method, place, headers, body, done); else process.exit(1);
    });
    request.end(body);
  }

  #open(type) {
    const headers = { 'Content-Type': type, 'Transfer-Encoding': 'chunked', Trailer: `${ERROR_TYPE}, ${ERROR_BODY}`,
      'Lambda-Runtime-Function-Response-Mode': 'streaming' };
    this.#stream = this.#request('POST', `${this.#event}/response`, headers, () => {});
    this.#stream.on('error', () => process.exit(1));
  }

  #close(trailers, sent) {
    const stream = this.#stream;
    this.#stream = null;
    stream.addTrailers(trailers);
    stream.end(() => sent());
  }

  #request(method, place, headers, done) {
    const options = { host: this.#host, port: this.#port, agent: this.#agent, method, path: PREFIX + place, headers };
    return new ClientRequest(options, (response) => {
      const pieces = [];
      response.on('data', (piece) => pieces.push(piece));
      response.on('end', () => done(response, Buffer.concat(pieces)));
    });
  }
};
