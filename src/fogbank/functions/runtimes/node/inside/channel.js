// Frames between an instance and the server, both ways: four bytes of length, then the body. What goes to the server
// begins with a letter (I: initialised, D: waits for a debugger, H: a stream's content type, P: a piece of one, E: its
// end, R: reply, X: error, F: error, and this process ends), a byte that says that lines may wait in the log's pipe, and
// four of peak memory in KB.
'use strict';

const net = require('node:net');

const HEAD_BYTES = 10;
const FIELDS = ['id', 'arn', 'deadline_ms', 'trace', 'client_context', 'identity'];

module.exports = class Channel {
  #fd;
  #socket;
  #rest = Buffer.alloc(0);
  #take;

  constructor(fd, take) {
    this.#take = take;
    this.#fd = fd;
    this.#socket = new net.Socket({ fd, readable: true, writable: true });
    this.#socket.on('data', (data) => this.#read(data));
    this.#socket.on('close', () => process.exit(0));
    this.#socket.on('error', () => process.exit(0));
  }

  #read(data) {
    let rest = this.#rest.length ? Buffer.concat([this.#rest, data]) : data;
    while (rest.length >= 4) {
      const end = 4 + rest.readUInt32BE(0);
      if (rest.length < end) break;
      this.#take(rest.subarray(4, end));
      rest = rest.subarray(end);
    }
    this.#rest = rest;
  }

  // What a frame says of an event, by name, and the event's bytes. It begins with fields that each end in a NUL.
  static event(frame) {
    const facts = {};
    let start = 0;
    for (const name of FIELDS) {
      const end = frame.indexOf(0, start);
      facts[name] = frame.subarray(start, end).toString();
      start = end + 1;
    }
    return [facts, frame.subarray(start)];
  }

  // `sent` is called once the bytes are the kernel's.
  say(kind, body, sent) {
    return this.#socket.write(frame(kind, body), sent);
  }

  // The same, for another thread to say: what, and where.
  told(kind, body) {
    return { bytes: frame(kind, body), fd: this.#fd };
  }

  // Whether the wait for events alone keeps this process from being out of work ("beforeExit").
  holds(yes) {
    if (yes) this.#socket.ref(); else this.#socket.unref();
  }
};

function frame(kind, body) {
  const content = typeof body === 'string' ? Buffer.from(body) : body;
  const head = Buffer.alloc(HEAD_BYTES);
  head.writeUInt32BE(content.length + HEAD_BYTES - 4, 0);
  head.write(kind, 4, 'latin1');
  head.writeUInt8(1, 5);
  head.writeUInt32BE(kind === 'P' ? 0 : process.resourceUsage().maxRSS, 6);
  return Buffer.concat([head, content]);
}
