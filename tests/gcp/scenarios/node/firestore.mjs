// What a Node app does with Firestore, by the published client; ends with 0 if all of it is so.
import assert from 'node:assert/strict';
import { AggregateField, FieldValue, Firestore, Filter, Timestamp } from '@google-cloud/firestore';

const db = new Firestore({ projectId: 'node-project' });
const items = db.collection('items');

async function writesAndReads() {
  const made = await items.add({ name: 'lamp', at: FieldValue.serverTimestamp(), tags: ['a'], size: { w: 1, h: 2 } });
  await made.update({ 'size.w': FieldValue.increment(4), tags: FieldValue.arrayUnion('b'), name: FieldValue.delete() });
  const read = await made.get();
  assert.deepEqual([read.get('size'), read.get('tags'), read.get('name')], [{ w: 5, h: 2 }, ['a', 'b'], undefined]);
  assert.ok(read.get('at') instanceof Timestamp);
  await assert.rejects(made.create({}), { code: 6 });
  await assert.rejects(items.doc('none').update({ a: 1 }), { code: 5, details: /No document to update/ });
  await assert.rejects(made.delete({ lastUpdateTime: Timestamp.fromMillis(0) }), { code: 9 });
  await made.delete();
}

async function transactions() {
  const counter = db.doc('counters/one');
  await counter.set({ n: 0 });
  // All at once: each that meets another one is aborted by the service, and begun again by the client.
  await Promise.all(Array.from({ length: 5 }, () => db.runTransaction(async (transaction) => {
    const { n } = (await transaction.get(counter)).data();
    transaction.update(counter, { n: n + 1 });
  }, { maxAttempts: 50 })));
  assert.equal((await counter.get()).get('n'), 5);
  await db.runTransaction(async (transaction) => {
    assert.equal((await transaction.get(counter)).get('n'), 5);
  }, { readOnly: true });
}

async function bulk() {
  const writer = db.bulkWriter();
  const results = Array.from({ length: 700 }, (_, n) => writer.set(items.doc(`b${n}`), { n, kind: n % 3 }));
  await writer.flush();  // Batches are under way side by side.
  const refused = writer.create(items.doc('b1'), {}).then(() => 'written', (error) => error.code);
  await writer.close();
  assert.ok((await Promise.all(results)).every((result) => result.writeTime instanceof Timestamp));
  assert.equal(await refused, 6);
  const sums = await items.aggregate({ count: AggregateField.count(), sum: AggregateField.sum('n') }).get();
  assert.deepEqual(sums.data(), { count: 700, sum: 244650 });
}

async function queries() {
  const either = items.where(Filter.or(Filter.where('n', '<', 2), Filter.where('n', '==', 699))).orderBy('n', 'desc');
  assert.deepEqual((await either.get()).docs.map((each) => each.get('n')), [699, 1, 0]);
  const page = await items.where('kind', '==', 1).orderBy('n').startAfter(10).limit(2).select('n').get();
  assert.deepEqual(page.docs.map((each) => each.data()), [{ n: 13 }, { n: 16 }]);
  let streamed = 0;
  for await (const each of items.orderBy('n').stream()) assert.equal(each.get('n'), streamed++);
  assert.equal(streamed, 700);
  const explained = await items.where('kind', '==', 1).explain({ analyze: true });
  assert.equal(explained.metrics.executionStats.resultsReturned, 233);
  const parts = [];
  for await (const part of db.collectionGroup('items').getPartitions(3)) parts.push(part);
  const counts = await Promise.all(parts.map(async (part) => (await part.toQuery().get()).size));
  assert.equal(counts.reduce((one, other) => one + other), 700);
  await assert.rejects(items.where('n', 'in', Array.from({ length: 31 }, (_, n) => n)).get(), { code: 3 });
}

async function listeners() {
  const told = [];
  let wake = () => {};
  const until = async (holds) => {
    while (!holds()) await new Promise((resolve) => { wake = resolve; });
  };
  const query = db.collection('rooms').where('open', '==', true).orderBy('n');
  const stop = query.onSnapshot((snapshot) => {
    told.push(...snapshot.docChanges().map((change) => `${change.type} ${change.doc.id}`));
    if (!snapshot.size && !told.length) told.push('nothing');
    wake();
  }, (error) => { throw error; });
  await until(() => told.includes('nothing'));
  await db.doc('rooms/a').set({ open: true, n: 1 });
  await until(() => told.includes('added a'));
  await db.doc('rooms/a').update({ n: 2 });
  await until(() => told.includes('modified a'));
  await db.doc('rooms/a').update({ open: false });
  await until(() => told.includes('removed a'));
  stop();
  assert.deepEqual(told, ['nothing', 'added a', 'modified a', 'removed a']);
}

await writesAndReads();
await transactions();
await bulk();
await queries();
await listeners();
await db.recursiveDelete(items);
assert.equal((await items.count().get()).data().count, 0);
assert.deepEqual((await db.listCollections()).map((each) => each.id).sort(), ['counters', 'rooms']);
await db.terminate();
