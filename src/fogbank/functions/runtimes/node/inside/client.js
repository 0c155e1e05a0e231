// Which of AWS's two clients a function's runtime is built on: up to Node.js 22 `aws-lambda-ric` 3, from Node.js 24 on 4.
// They differ in what they take for an error, what they log, and in how a process ends.
'use strict';

const FIRST_ON_NEWER = 24;
let major = 0;

module.exports = {
  // The cloud's name of the runtime: "nodejs20.x". Once, before there is a function.
  runs(runtime) { major = Number(/nodejs(\d+)/.exec(runtime)?.[1] ?? 0); },
  get isNewer() { return major >= FIRST_ON_NEWER; },
};
