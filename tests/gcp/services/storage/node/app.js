// What a Node app does with Cloud Storage, by the published client; tells what it has seen.
const { Storage } = require('@google-cloud/storage');
const { randomBytes } = require('crypto');
(async () => {
  const storage = new Storage({ projectId: 'fog-project' });
  const [bucket] = await storage.createBucket('from-node', { location: 'EU', versioning: { enabled: true } });
  const file = bucket.file('a/b.txt');
  await file.save('content', { resumable: false, metadata: { contentType: 'text/plain', metadata: { x: '1' } } });
  const large = bucket.file('large'), content = randomBytes(3 * 1024 * 1024 + 7);
  await large.save(content, { resumable: true, chunkSize: 1024 * 1024 });
  const [again] = await large.download();
  const [part] = await file.download({ start: 1, end: 3 });
  const [copied] = await file.copy(bucket.file('copy'));
  await bucket.combine([file, copied], 'whole');
  await file.setMetadata({ cacheControl: 'no-store' });
  const [metadata] = await file.getMetadata();
  const [files] = await bucket.getFiles({ prefix: '' });
  let refused;
  await file.save('other', { resumable: false, preconditionOpts: { ifGenerationMatch: 1 } })
    .catch((error) => { refused = [error.code, error.errors[0].reason]; });
  await file.delete();
  const [exists] = await file.exists();
  console.log(JSON.stringify({
    same: content.equals(again), part: part.toString(), metadata, refused, exists, location: bucket.metadata.location,
    names: files.map((one) => one.name), whole: (await bucket.file('whole').download())[0].toString(),
  }));
})().catch((error) => { console.error(error); process.exit(1); });
