// ES modules are looked for in the folders of NODE_PATH too: `node_path.mjs` says why.
'use strict';

const Module = require('node:module');
const { pathToFileURL } = require('node:url');

function lookInFolders(folders) {
  Module.register('./node_path.mjs', { parentURL: pathToFileURL(__filename), data: { folders } });
}

module.exports = { lookInFolders };
