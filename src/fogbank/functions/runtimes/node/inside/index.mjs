// What a wrapper script starts: one function in a process of its own, which asks the Runtime API for its events.
// Lambda Developer Guide, "Modifying the runtime environment". All that it is told stands in its environment, and that is
// what the script has left of it: another `_HANDLER`, another address of the Runtime API, options for Node.
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);
const { waitForDebugger } = require('./debugger.js');
const { begin } = require('./function.js');
const { lookInFolders } = require('./modules.js');
const RuntimeApi = require('./runtime_api.js');

const { AWS_LAMBDA_RUNTIME_API, AWS_EXECUTION_ENV = '', LAMBDA_TASK_ROOT, NODE_PATH = '', _DEBUGGED, _HANDLER } = process.env;

delete process.env._DEBUGGED;
process.argv.splice(1, process.argv.length, '/var/runtime/index.mjs');
const api = new RuntimeApi(AWS_LAMBDA_RUNTIME_API);
lookInFolders(NODE_PATH.split(':'));
const debug = _DEBUGGED && JSON.parse(_DEBUGGED);
const before = () => debug && waitForDebugger(new RuntimeApi(debug.tell), debug);
begin(api, { runtime: AWS_EXECUTION_ENV, code: LAMBDA_TASK_ROOT, handler: _HANDLER }, before).then((answer) => {
  const next = () => api.next((facts, payload) => answer(facts, payload, next));
  next();
});
