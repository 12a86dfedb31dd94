// usage: NODE_PATH=build/node/node_modules node openapi.mjs FILE   Redocly's rules over the API document;
// one line a finding, exit status 1 when there is one. A rule that is off says why.
import { createRequire } from 'node:module';
import path from 'node:path';

const require = createRequire(path.resolve(process.env.NODE_PATH || 'build/node/node_modules') + '/');
const { lint, createConfig } = require('@redocly/openapi-core');

const config = await createConfig({
  extends: ['recommended-strict'],
  rules: {
    'info-license': 'off', // the licence of the program is no licence of the document
    'no-server-example.com': 'off', // a server of one's own is on loopback until it has a name
    'operation-4xx-response': 'off', // probes have none
    'operation-operationId': 'off', // routes have their own names, which clients never see
    'no-ambiguous-paths': 'off', // literals win over ids, as at OpenAI
  },
});
const found = await lint({ ref: process.argv[2], config });
for (const p of found) {
  const at = p.location?.[0];
  console.log(`${p.severity} ${p.ruleId}: ${p.message} (${at?.pointer || at?.source?.absoluteRef || ''})`);
}
console.log(`${found.length} findings`);
process.exit(found.length ? 1 : 0);
