// Loaded before a tool: requests to AWS's hosts go to the endpoint instead, with their Host kept (signatures cover it).
'use strict';

const http = require('node:http');
const https = require('node:https');
const { syncBuiltinESMExports } = require('node:module');

const AWS = /(^|\.)(amazonaws\.com|api\.aws)$/;

function target() {
  return process.env.AWS_ENDPOINT_URL ? new URL(process.env.AWS_ENDPOINT_URL) : null;
}

function optionsOf(first, second) {
  if (typeof first === 'string' || first instanceof URL) {
    const url = new URL(first);
    return { hostname: url.hostname, path: url.pathname + url.search, ...(typeof second === 'object' ? second : {}) };
  }
  return { ...first };
}

function redirected(send) {
  return function (first, second, third) {
    const endpoint = target();
    const options = optionsOf(first, second);
    const host = String(options.hostname || options.host || '').replace(/:\d+$/, '');
    if (!endpoint || !AWS.test(host)) return send.apply(this, arguments);
    const callback = [first, second, third].find((argument) => typeof argument === 'function');
    const headers = Array.isArray(options.headers) ? options.headers : { Host: host, ...options.headers };
    return plainRequest({ ...options, headers, protocol: 'http:', hostname: endpoint.hostname, host: endpoint.hostname,
      port: endpoint.port, agent: undefined }, callback);
  };
}

const plainRequest = http.request;
https.request = redirected(https.request);
http.request = redirected(http.request);
https.get = (...all) => { const request = https.request(...all); request.end(); return request; };
http.get = (...all) => { const request = http.request(...all); request.end(); return request; };
syncBuiltinESMExports();
