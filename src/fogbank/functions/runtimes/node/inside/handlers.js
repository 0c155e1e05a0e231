// From "folder/module.exported.name" to the function that it means, as Lambda's own runtime finds it.
// Lambda Developer Guide, "Define Lambda function handler in Node.js".
'use strict';

const fs = require('node:fs');
const path = require('node:path');
const { createRequire } = require('node:module');
const { pathToFileURL } = require('node:url');
const client = require('./client.js');
const { RuntimeError } = require('./errors.js');

// As if the file that asks for the function's modules were the one that Lambda has.
const requireAsLambda = createRequire('/var/runtime/index.mjs');

async function load(root, name) {
  if (name.includes('..')) {
    throw new RuntimeError('MalformedHandlerName',
      `'${name}' is not a valid handler name. Use absolute paths when specifying root directories in handler names.`);
  }
  const last = path.basename(name);
  const folder = name.slice(0, name.indexOf(last));
  const dot = last.indexOf('.');
  if (dot < 0) throw new RuntimeError('MalformedHandlerName', 'Bad handler');
  const loaded = await loadModule(root, folder, last.slice(0, dot));
  const keys = last.slice(dot + 1).split('.');
  const found = client.isNewer ? findIn(loaded, keys) ?? findIn(loaded?.default, keys)
    : keys.reduce((object, key) => object && object[key], loaded);
  if (!found) throw new RuntimeError('HandlerNotFound', `${name} is undefined or not exported`);
  if (typeof found !== 'function') throw new RuntimeError('HandlerNotFound', `${name} is not a function`);
  return found;
}

function findIn(loaded, keys) {
  return keys.reduce((object, key) => (object && typeof object === 'object' ? object[key] : undefined), loaded) || undefined;
}

async function loadModule(root, folder, name) {
  try {
    const file = path.resolve(root, folder, name);
    const found = fileOf(file);
    if (found && (client.isNewer || isModule(found))) return await import(pathToFileURL(found).href);
    return requireAsLambda(found ?? requireAsLambda.resolve(name, { paths: [root, path.join(root, folder)] }));
  } catch (error) {
    if (error instanceof SyntaxError) throw new RuntimeError('UserCodeSyntaxError', String(error), error.stack);
    if (error?.code === 'MODULE_NOT_FOUND') throw new RuntimeError('ImportModuleError', String(error));
    throw error;
  }
}

// A name without an ending may be a file or a folder.
function fileOf(file) {
  return ['', '.js', '.mjs', '.cjs'].map((ending) => file + ending).find((one) => fs.existsSync(one));
}

function isModule(file) {
  return file.endsWith('.mjs') || (file.endsWith('.js') && isOfTypeModule(path.dirname(file)));
}

// By the nearest package.json, but for those above a node_modules.
function isOfTypeModule(folder) {
  if (folder.endsWith('/node_modules')) return false;
  const manifest = path.join(folder, 'package.json');
  if (fs.existsSync(manifest)) {
    try {
      return JSON.parse(fs.readFileSync(manifest, 'utf8')).type === 'module';
    } catch (error) {
      console.warn(`${manifest} cannot be read, it will be ignored for ES module detection purposes.`, error);
      return false;
    }
  }
  return folder !== '/' && isOfTypeModule(path.dirname(folder));
}

module.exports = { load };
