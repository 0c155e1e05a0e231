// Google's clients find their services here: what they would say to *.googleapis.com, over gRPC or https, goes to fogbank
// in plain text, with the host's name kept. Those that know a variable for an emulator need none of it.
'use strict';

const http = require('node:http');
const https = require('node:https');
const Module = require('node:module');

const GOOGLE = /(^|\.)googleapis\.com$/;
const CHANNEL = /@grpc\/grpc-js\/build\/src\/channel\.js$/;
let here = '';

// `address`: "127.0.0.1:4566".
function redirect(address) {
  if (!address) return;
  here = address;
  redirectHttps();
  redirectFetch();
  const load = Module._extensions['.js'];
  Module._extensions['.js'] = function (module, file) {
    load(module, file);
    if (CHANNEL.test(file)) redirectChannels(module);
  };
  for (const module of Object.values(require.cache)) if (CHANNEL.test(module.filename)) redirectChannels(module);
}

function redirectChannels(module) {
  const Channel = module.exports.ChannelImplementation;
  const { ChannelCredentials } = module.require('./channel-credentials.js');
  module.exports.ChannelImplementation = class extends Channel {
    constructor(target, credentials, options) {
      const host = String(target).replace(/^.*\//, '').replace(/:\d+$/, '');
      if (!GOOGLE.test(host)) super(target, credentials, options);
      else super(here, ChannelCredentials.createInsecure(), { ...options, 'grpc.default_authority': host });
    }
  };
}

function redirectHttps() {
  const send = https.request;
  https.request = function (first, second, third) {
    const options = optionsOf(first, second);
    const host = String(options.hostname || options.host || '').replace(/:\d+$/, '');
    if (!GOOGLE.test(host)) return send.apply(this, arguments);
    const callback = [first, second, third].find((one) => typeof one === 'function');
    const [hostname, port] = here.split(':');
    const headers = Array.isArray(options.headers) ? options.headers : { ...options.headers, host };
    return http.request({ ...options, headers, protocol: 'http:', hostname, host: hostname, port, agent: undefined }, callback);
  };
  https.get = (...all) => { const request = https.request(...all); request.end(); return request; };
  Module.syncBuiltinESMExports();
}

function optionsOf(first, second) {
  if (typeof first !== 'string' && !(first instanceof URL)) return { ...first };
  const url = new URL(first);
  return { hostname: url.hostname, path: url.pathname + url.search, ...(typeof second === 'object' ? second : {}) };
}

// It takes no Host of a caller's: the path alone tells the service.
function redirectFetch() {
  const send = globalThis.fetch;
  if (typeof send !== 'function') return;
  globalThis.fetch = function (input, init) {
    const url = new URL(typeof input === 'object' && 'url' in input ? input.url : String(input), 'http://none');
    if (url.protocol !== 'https:' || !GOOGLE.test(url.hostname)) return send(input, init);
    const headers = new Headers(init?.headers ?? (typeof input === 'object' ? input.headers : undefined));
    headers.set('x-forwarded-host', url.hostname);
    const target = `http://${here}${url.pathname}${url.search}`;
    return send(typeof input === 'object' && 'url' in input ? new Request(target, input) : target, { ...init, headers });
  };
}

module.exports = { redirect };
