// Loaded before a function: `aws-sdk` v2 reads no endpoint from the environment, so it is told when it is first loaded.
'use strict';

const Module = require('node:module');

const load = Module._load;
Module._load = function (request, ...rest) {
  const loaded = load.call(this, request, ...rest);
  if (request === 'aws-sdk' && process.env.AWS_ENDPOINT_URL && loaded.config && !loaded.config.fogbank) {
    loaded.config.update({ endpoint: process.env.AWS_ENDPOINT_URL, s3ForcePathStyle: true, hostPrefixEnabled: false });
    Object.defineProperty(loaded.config, 'fogbank', { value: true });
  }
  return loaded;
};
