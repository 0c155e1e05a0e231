// ES modules are looked for in the folders of NODE_PATH too, once they are found nowhere else. Node itself does that for
// `require` only; Lambda does it since Node.js 18: Developer Guide, "Designating a function handler as an ES module".
import { pathToFileURL } from 'node:url';

let parents = [];

export function initialize({ folders }) {
  parents = folders.filter((folder) => folder.endsWith('/node_modules')).map((folder) => pathToFileURL(`${folder}/../any.mjs`).href);
}

export async function resolve(specifier, context, next) {
  try {
    return await next(specifier, context);
  } catch (error) {
    if (error.code !== 'ERR_MODULE_NOT_FOUND' || /^[./]|^[a-z]+:/.test(specifier)) throw error;
    for (const parentURL of parents) {
      try {
        return await next(specifier, { ...context, parentURL });
      } catch { /* Nor there. */ }
    }
    throw error;
  }
}
