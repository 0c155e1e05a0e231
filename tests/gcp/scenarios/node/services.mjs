// What a Node app does with Secret Manager, Cloud Tasks, Cloud Scheduler and Cloud Logging, by the published clients; ends
// with 0 if all of it is so. None of the four has an emulator variable: their options point them.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';

const { credentials } = createRequire(createRequire(import.meta.url).resolve('google-gax'))('@grpc/grpc-js');
const { SecretManagerServiceClient } = await import('@google-cloud/secret-manager');
const { CloudTasksClient } = await import('@google-cloud/tasks');
const { CloudSchedulerClient } = await import('@google-cloud/scheduler');
const { Logging } = await import('@google-cloud/logging');

const [host, port] = process.env.FOGBANK_ADDRESS.split(':');
const options = {
  projectId: 'node-project', apiEndpoint: host, servicePath: host, port: Number(port), sslCreds: credentials.createInsecure(),
};
const location = 'projects/node-project/locations/us-central1';

// A worker, and the requests that it has had: `heard(test)` waits for one.
const requests = [];
const waiting = [];
const worker = createServer((request, response) => {
  request.on('data', () => {}).on('end', () => {
    response.end();
    requests.push(request.headers);
    waiting.splice(0).forEach((look) => look());
  });
});
await new Promise((resolve) => worker.listen(0, '127.0.0.1', resolve));
const url = `http://127.0.0.1:${worker.address().port}/`;

async function heard(test) {
  while (!requests.some(test)) await new Promise((resolve) => waiting.push(resolve));
}

async function secrets() {
  const client = new SecretManagerServiceClient(options);
  const [secret] = await client.createSecret({
    parent: 'projects/node-project', secretId: 'password', secret: { replication: { automatic: {} } },
  });
  await client.addSecretVersion({ parent: secret.name, payload: { data: Buffer.from('hunter2') } });
  const [{ payload }] = await client.accessSecretVersion({ name: `${secret.name}/versions/latest` });
  assert.equal(Buffer.from(payload.data).toString(), 'hunter2');
  await assert.rejects(client.accessSecretVersion({ name: `${secret.name}/versions/2` }), { code: 5 });
  await client.close();
}

async function tasks() {
  const client = new CloudTasksClient(options);
  const name = `${location}/queues/mail`;
  await client.createQueue({ parent: location, queue: { name } });
  const task = { name: `${name}/tasks/greet`, httpRequest: { url, body: Buffer.from('hello') } };
  await client.createTask({ parent: name, task });
  await heard((headers) => headers['x-cloudtasks-taskname'] === 'greet');
  await client.close();
}

async function jobs() {
  const client = new CloudSchedulerClient(options);
  const name = `${location}/jobs/nightly`;
  await client.createJob({ parent: location, job: { name, schedule: '0 3 * * *', httpTarget: { uri: url } } });
  await client.runJob({ name });
  await heard((headers) => headers['x-cloudscheduler-jobname'] === 'nightly');
  await client.close();
}

async function logs() {
  const logging = new Logging(options);
  const log = logging.log('app');
  await log.write(log.entry({ severity: 'ERROR', resource: { type: 'global' } }, { message: 'hi', n: 3 }));
  const [entries] = await logging.getEntries({ filter: 'jsonPayload.n=3 AND severity>=ERROR' });
  assert.deepEqual(entries.map((entry) => entry.data), [{ message: 'hi', n: 3 }]);
}

await Promise.all([secrets(), tasks(), jobs(), logs()]);
worker.close();
process.exit(0);
