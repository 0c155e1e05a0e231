// What a Node app does with Pub/Sub, by the published client; ends with 0 if all of it is so.
import assert from 'node:assert/strict';
import { Encodings, PubSub, SchemaTypes } from '@google-cloud/pubsub';

const pubsub = new PubSub({ projectId: 'node-project' });

// What came until it is enough, as `take` makes it of each message; an error of the stream is ours. A message may come
// more than once: its lease is over where its subscriber is slow.
function received(subscription, enough, take) {
  return new Promise((resolve, reject) => {
    const found = [];
    subscription.on('error', reject);
    subscription.on('message', async (message) => {
      try {
        found.push(await take(message));
        if (enough(found)) resolve(found);
      } catch (error) { reject(error); }
    });
  });
}

const distinct = (all) => new Set(all.map(String)).size;

async function ordered() {
  const [topic] = await pubsub.createTopic('ordered');
  const [subscription] = await topic.createSubscription('in-order', { enableMessageOrdering: true });
  const publisher = pubsub.topic('ordered', { messageOrdering: true });
  const keys = ['a', 'b'];
  await Promise.all(Array.from({ length: 60 }, (_, n) => publisher.publishMessage({
    data: Buffer.from(String(n)), orderingKey: keys[n % 2],
  })));
  const refused = new Set();
  const found = await received(subscription, (all) => all.length >= 62 && distinct(all) === 60, (message) => {
    const key = message.orderingKey;
    if (!refused.has(key) && Number(message.data) > 20) {
      refused.add(key);
      message.nack();  // It comes again.
    } else message.ack();
    return [key, Number(message.data)];
  });
  await subscription.close();
  for (const key of keys) {
    const numbers = found.filter(([its]) => its === key).map(([, n]) => n);
    assert.ok(numbers.length > new Set(numbers).size);
    const firsts = numbers.filter((n, at) => numbers.indexOf(n) === at);
    assert.deepEqual(firsts, [...firsts].sort((one, other) => one - other));
  }
}

async function exactlyOnce() {
  const [topic] = await pubsub.createTopic('once');
  const [subscription] = await topic.createSubscription('exactly', { enableExactlyOnceDelivery: true });
  await topic.publishMessage({ json: { n: 1 }, attributes: { kind: 'new' } });
  const [message] = await received(subscription, (all) => all.length > 0, async (one) => {
    assert.equal(await one.ackWithResponse(), 'SUCCESS');
    return one;
  });
  assert.deepEqual([JSON.parse(message.data), message.attributes], [{ n: 1 }, { kind: 'new' }]);
  await subscription.close();
}

async function flowControl() {
  const [topic] = await pubsub.createTopic('flow');
  await topic.createSubscription('few');
  const few = pubsub.subscription('few', { flowControl: { maxMessages: 3, allowExcessMessages: false } });
  await Promise.all(Array.from({ length: 30 }, (_, n) => topic.publishMessage({ data: Buffer.from(String(n)) })));
  let open = 0, most = 0;
  const found = await received(few, (all) => distinct(all) === 30, async (message) => {
    most = Math.max(most, ++open);
    await new Promise(setImmediate);
    open--;
    message.ack();
    return Number(message.data);
  });
  await few.close();
  assert.deepEqual([...new Set(found)].sort((one, other) => one - other), Array.from({ length: 30 }, (_, n) => n));
  assert.ok(most <= 3, `${most} at once`);
}

async function schemas() {
  const definition = 'syntax = "proto3"; message Order { string id = 1; }';
  await pubsub.createSchema('order', SchemaTypes.ProtocolBuffer, definition);
  const schemaSettings = { schema: 'projects/node-project/schemas/order', encoding: Encodings.Json };
  const [topic] = await pubsub.createTopic({ name: 'typed', schemaSettings });
  await topic.publishMessage({ data: Buffer.from('{"id": "a"}') });
  await assert.rejects(topic.publishMessage({ data: Buffer.from('{"no": 1}') }), { code: 3 });
}

async function administration() {
  const [topics] = await pubsub.getTopics();
  assert.deepEqual(topics.map((each) => each.name.split('/').pop()), ['flow', 'once', 'ordered', 'typed']);
  await pubsub.topic('flow').setMetadata({ labels: { a: 'b' } });
  assert.deepEqual((await pubsub.topic('flow').getMetadata())[0].labels, { a: 'b' });
  await pubsub.subscription('few').seek(new Date(0));
  await pubsub.subscription('few').delete();
  await assert.rejects(pubsub.subscription('few').getMetadata(), { code: 5 });
  await assert.rejects(pubsub.createTopic('flow'), { code: 6 });
  await assert.rejects(pubsub.topic('none').publishMessage({ data: Buffer.from('x') }), { code: 5 });
}

await ordered();
await exactlyOnce();
await flowControl();
await schemas();
await administration();
await pubsub.close();
