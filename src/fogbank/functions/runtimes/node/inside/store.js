// The store of what belongs to one event, which libraries look for at `awslambda.InvokeStore` since Node.js 24: theirs is
// the package `@aws/lambda-invoke-store`, and this answers as that does.
'use strict';

const KEYS = {
  REQUEST_ID: Symbol.for('_AWS_LAMBDA_REQUEST_ID'),
  X_RAY_TRACE_ID: Symbol.for('_AWS_LAMBDA_X_RAY_TRACE_ID'),
  TENANT_ID: Symbol.for('_AWS_LAMBDA_TENANT_ID'),
};

class InvokeStore {
  static PROTECTED_KEYS = KEYS;
  #context;

  run(context, call) {
    this.#context = context;
    return call();
  }

  getContext() { return this.#context; }

  hasContext() { return this.#context !== undefined; }

  get(key) { return this.#context?.[key]; }

  set(key, value) {
    if (this.isProtectedKey(key)) throw new Error(`Cannot modify protected Lambda context field: ${String(key)}`);
    this.#context = this.#context || {};
    this.#context[key] = value;
  }

  isProtectedKey(key) { return Object.values(KEYS).includes(key); }

  getRequestId() { return this.get(KEYS.REQUEST_ID) ?? '-'; }

  getXRayTraceId() { return this.get(KEYS.X_RAY_TRACE_ID); }

  getTenantId() { return this.get(KEYS.TENANT_ID); }
}

const store = new InvokeStore();

// From here on this is the event at work; the next one begins with nothing of it.
function begin({ id, trace }) {
  store.run({ [KEYS.REQUEST_ID]: id, [KEYS.X_RAY_TRACE_ID]: trace }, () => {});
}

module.exports = { store, begin };
