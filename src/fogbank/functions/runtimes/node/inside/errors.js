// Errors as Lambda tells them: the document that the caller gets, and the line in the log.
'use strict';

const util = require('node:util');
const client = require('./client.js');

const NAMED_LONGER = ['HandlerNotFound', 'MalformedHandlerName', 'CallbackHandlerDeprecated'];

class RuntimeError extends Error {
  constructor(kind, message, stack) {
    super(message);
    Object.defineProperty(this, 'name', { value: `Runtime.${kind}`, enumerable: client.isNewer });
    this.stack = stack ?? `${this.name}: ${message}\n${callers(this.stack)}`;
  }
}

// What the class of an error is called, where it is one of Lambda's own.
function className(error) {
  if (!(error instanceof RuntimeError)) return error.constructor?.name ?? 'UnknownError';
  const kind = error.name.replace('Runtime.', '');
  return client.isNewer && NAMED_LONGER.includes(kind) ? `${kind}Error` : kind;
}

// Without the first line, which was made before the name was known.
function callers(stack) {
  return stack.slice(stack.indexOf('\n    at ') + 1);
}

// Frames of these files stand where Lambda's own runtime has its one.
function asLambdaHasIt(text) {
  return text.replaceAll(__dirname, '/var/runtime').replaceAll('\x7F', '%7F');
}

function isErrorLike(value) {
  return Boolean(value) && [value.name, value.message, value.stack].every((one) => one && typeof one === 'string');
}

// What the caller of the function gets.
function document(error) {
  try {
    return client.isNewer ? newerDocument(error) : olderDocument(error);
  } catch {  // It throws when it is read; to the older client null does, too.
    return {
      errorType: 'handled',
      errorMessage: 'callback called with Error argument, but there was a problem while retrieving one or more of its '
        + 'message, name, and stack',
      ...(client.isNewer ? { trace: [] } : {}),
    };
  }
}

function newerDocument(error) {
  if (!(error instanceof Error)) return { errorType: typeof error, errorMessage: String(error), trace: [] };
  const stack = error.stack?.replaceAll('\x7F', '%7F');
  return { ...named(error), trace: stack ? asLambdaHasIt(stack).split('\n') : [] };
}

function olderDocument(error) {
  if (!util.types.isNativeError(error) && !isErrorLike(error)) {
    return { errorType: typeof error, errorMessage: error.toString(), trace: [] };
  }
  return { ...named(error), trace: asLambdaHasIt(error.stack).split('\n') };
}

function named(error) {
  return { errorType: error.name?.replaceAll('\x7F', '%7F'), errorMessage: error.message && asLambdaHasIt(error.message) };
}

// For the log: all that an error carries, with what JSON would leave out (its own `code` among it).
function told(error) {
  try {
    return JSON.stringify(error, (_, value) => (value instanceof Error ? withHiddenFacts(value) : value));
  } catch {
    return JSON.stringify(document(error));
  }
}

function withHiddenFacts(error) {
  const facts = { errorType: error.name, errorMessage: error.message, code: error.code, ...error };
  return typeof error.stack === 'string' ? { ...facts, stack: asLambdaHasIt(error.stack).split('\n') } : facts;
}

function asError(value) {
  return value instanceof Error ? value : new Error(client.isNewer ? String(value) : value);
}

function unhandledRejection(reason) {
  const error = new RuntimeError('UnhandledPromiseRejection', String(reason));
  return Object.assign(error, { reason, promise: {} });
}

module.exports = { RuntimeError, className, document, told, asError, unhandledRejection };
