// Loaded before a function: helpers for CloudFormation's custom resources answer on port 443 by TLS, whatever their URL
// says. Those answers, and nothing else, go to the endpoint.
'use strict';

const http = require('node:http');
const https = require('node:https');
const { syncBuiltinESMExports } = require('node:module');

const ANSWER = /^\/cloudformation-custom-resource-response-[a-z0-9]+\//;
const send = https.request;

https.request = function (first, ...rest) {
  const url = typeof first === 'string' || first instanceof URL ? new URL(first) : null;
  const more = rest.find((argument) => argument && typeof argument === 'object') || {};
  const options = url ? { path: url.pathname + url.search, ...more } : { ...first };
  if (!process.env.AWS_ENDPOINT_URL || !ANSWER.test(String(options.path))) return send.call(this, first, ...rest);
  const endpoint = new URL(process.env.AWS_ENDPOINT_URL);
  const callback = rest.find((argument) => typeof argument === 'function');
  return http.request({ ...options, protocol: 'http:', hostname: endpoint.hostname, host: endpoint.hostname,
    port: endpoint.port, agent: undefined }, callback);
};
syncBuiltinESMExports();
