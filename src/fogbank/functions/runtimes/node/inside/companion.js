// The thread beside one that waits for a debugger. It tells where, but not before that waits: a debugger that came sooner
// would say "go on" to nobody, and who waits then waits for good.
'use strict';

const fs = require('node:fs');
const net = require('node:net');
const { workerData } = require('node:worker_threads');

const LOOKS = 3;  // So often in a row it sleeps: it may once have slept for something else.
const EVERY_MS = 2;
const SERVER_EVERY_MS = 500;

const { begins, parent, bytes, fd, host, port } = workerData;
let seen = 0;

Atomics.wait(begins, 0, 0);
const looking = setInterval(() => {
  seen = mainThreadSleeps() ? seen + 1 : 0;
  if (seen < LOOKS) return;
  clearInterval(looking);
  if (fd === undefined) net.connect(port, host).end(bytes); else fs.writeSync(fd, bytes);
}, EVERY_MS);
setInterval(() => { if (process.ppid !== parent) process.kill(process.pid, 'SIGKILL'); }, SERVER_EVERY_MS);

// proc(5), "stat": the state stands behind the name, which may hold anything.
function mainThreadSleeps() {
  return /.*\) S/s.test(fs.readFileSync(`/proc/self/task/${process.pid}/stat`, 'utf8'));
}
