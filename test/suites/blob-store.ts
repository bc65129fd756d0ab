import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, type TestContext, test } from 'node:test';
import { digestOf } from '../../src/oci/index.ts';
import type { BlobStore, Ingestion, StoredBlob } from '../../src/store/index.ts';

/** Makes an empty store, and cleans up after the test. */
export type MakeBlobStore = (context: TestContext) => Promise<BlobStore>;

/** What every {@link BlobStore} that keeps blobs must do. */
export function blobStoreSuite(name: string, make: MakeBlobStore): void {
  describe(`${name} as a blob store`, () => {
    test('knows nothing when it is new', async (t) => {
      const store = await make(t);
      const digest = digestOf(Buffer.from('absent'));
      assert.equal(await store.open(digest), undefined);
      assert.equal(await store.stat(digest), undefined);
      assert.equal(await store.delete(digest), false);
      await store.quarantine(digest);
      assert.deepEqual(await listed(store), []);
    });

    for (const algorithm of ['sha256', 'sha512'] as const) {
      test(`keeps a committed blob under its ${algorithm}`, async (t) => {
        const store = await make(t);
        const bytes = randomBytes(100_001);
        const digest = digestOf(bytes, algorithm);
        await putBlob(store, bytes, digest);
        assert.equal(await store.stat(digest), bytes.length);
        assert.deepEqual(await contentOf(store, digest), bytes);
        assert.deepEqual(await listed(store), [[digest, bytes.length]]);
      });
    }

    test('keeps the empty blob', async (t) => {
      const store = await make(t);
      const digest = digestOf(Buffer.alloc(0));
      await putBlob(store, Buffer.alloc(0), digest);
      assert.equal(await store.stat(digest), 0);
      assert.deepEqual(await contentOf(store, digest), Buffer.alloc(0));
    });

    test('shows nothing before the commit', async (t) => {
      const store = await make(t);
      const bytes = Buffer.from('not yet');
      const ingestion = await store.begin();
      t.after(() => ingestion.close());
      await ingestion.write(bytes, 0);
      assert.equal(await store.open(digestOf(bytes)), undefined);
      assert.equal(await store.stat(digestOf(bytes)), undefined);
      assert.deepEqual(await listed(store), []);
      await ingestion.commit(digestOf(bytes));
      assert.equal(await store.stat(digestOf(bytes)), bytes.length);
    });

    test('lets a growing file be read, and says how much there is', async (t) => {
      const store = await make(t);
      const ingestion = await store.begin();
      t.after(() => ingestion.close());
      const target = Buffer.alloc(8);
      assert.equal(await ingestion.read(target, 0), 0);
      await ingestion.write(Buffer.from('abcdef'), 0);
      assert.equal(await ingestion.read(target, 2), 4);
      assert.equal(target.toString('latin1', 0, 4), 'cdef');
      assert.equal(await ingestion.read(target, 6), 0);
      assert.equal(await ingestion.read(target, 600), 0);
      await ingestion.write(Buffer.from('ghijklmno'), 6);
      assert.equal(await ingestion.read(target, 4), 8);
      assert.equal(target.toString(), 'efghijkl');
    });

    test('has taken a copy when write resolves', async (t) => {
      const store = await make(t);
      const ingestion = await store.begin();
      t.after(() => ingestion.close());
      const chunk = Buffer.alloc(1000, 'a');
      await ingestion.write(chunk, 0);
      chunk.fill('b');
      await ingestion.write(chunk, 1000);
      assert.equal((await readAll(ingestion)).toString(), 'a'.repeat(1000) + 'b'.repeat(1000));
    });

    test('lets many read one growing file while it is written', async (t) => {
      const store = await make(t);
      const ingestion = await store.begin();
      t.after(() => ingestion.close());
      const bytes = randomBytes(300_000);
      let length = 0;
      async function follow(): Promise<Buffer> {
        const whole = Buffer.alloc(bytes.length);
        let position = 0;
        while (position < bytes.length) {
          const read = await ingestion.read(whole.subarray(position), position);
          assert.ok(position + read <= length, 'a reader saw bytes that were not written yet');
          position += read;
          if (read === 0) await new Promise((resolve) => setImmediate(resolve));
        }
        return whole;
      }
      const followers = [follow(), follow(), follow()];
      for (let position = 0; position < bytes.length; position += 30_000) {
        length = position + 30_000;
        await ingestion.write(bytes.subarray(position, length), position);
      }
      for (const follower of followers) assert.deepEqual(await follower, bytes);
    });

    test('lets reading go on after the commit, and after the blob is deleted', async (t) => {
      const store = await make(t);
      const bytes = randomBytes(5000);
      const ingestion = await store.begin();
      await ingestion.write(bytes, 0);
      await ingestion.commit(digestOf(bytes));
      assert.deepEqual(await readAll(ingestion), bytes);
      await store.delete(digestOf(bytes));
      assert.deepEqual(await readAll(ingestion), bytes);
      await ingestion.close();
    });

    test('lets reading go on after an abort, and shows nothing', async (t) => {
      const store = await make(t);
      const bytes = randomBytes(5000);
      const ingestion = await store.begin();
      await ingestion.write(bytes, 0);
      await ingestion.abort();
      assert.deepEqual(await readAll(ingestion), bytes);
      await ingestion.close();
      assert.deepEqual(await listed(store), []);
    });

    test('takes close without a commit for an abort', async (t) => {
      const store = await make(t);
      const ingestion = await store.begin();
      await ingestion.write(Buffer.from('given up'), 0);
      await ingestion.close();
      assert.deepEqual(await listed(store), []);
      await assert.rejects(ingestion.read(Buffer.alloc(1), 0), /closed/);
      await assert.rejects(ingestion.write(Buffer.alloc(1), 0), /closed/);
    });

    test('lets an abort after the commit change nothing', async (t) => {
      const store = await make(t);
      const bytes = Buffer.from('kept');
      const ingestion = await store.begin();
      await ingestion.write(bytes, 0);
      await ingestion.commit(digestOf(bytes));
      await ingestion.abort();
      await ingestion.abort();
      await ingestion.close();
      assert.deepEqual(await contentOf(store, digestOf(bytes)), bytes);
    });

    test('refuses a second commit, and one after an abort', async (t) => {
      const store = await make(t);
      const bytes = Buffer.from('once');
      const committed = await store.begin();
      t.after(() => committed.close());
      await committed.write(bytes, 0);
      await committed.commit(digestOf(bytes));
      await assert.rejects(committed.commit(digestOf(bytes)), /commit/);
      const aborted = await store.begin();
      t.after(() => aborted.close());
      await aborted.abort();
      await assert.rejects(aborted.commit(digestOf(Buffer.from('other'))), /abort/);
      assert.equal(await store.stat(digestOf(Buffer.from('other'))), undefined);
    });

    test('lets two ingests of one digest both succeed', async (t) => {
      const store = await make(t);
      const bytes = randomBytes(50_000);
      const digest = digestOf(bytes);
      const [first, second] = [await store.begin(), await store.begin()];
      await Promise.all([first.write(bytes, 0), second.write(bytes, 0)]);
      await Promise.all([first.commit(digest), second.commit(digest)]);
      assert.deepEqual(await readAll(first), bytes);
      assert.deepEqual(await readAll(second), bytes);
      await Promise.all([first.close(), second.close()]);
      assert.deepEqual(await contentOf(store, digest), bytes);
      assert.deepEqual(await listed(store), [[digest, bytes.length]]);
    });

    test('commits what is there already', async (t) => {
      const store = await make(t);
      const bytes = Buffer.from('twice');
      const digest = digestOf(bytes);
      await putBlob(store, bytes, digest);
      const reader = await opened(store, digest);
      await putBlob(store, bytes, digest);
      assert.deepEqual(await contentOf(store, digest), bytes);
      const target = Buffer.alloc(5);
      assert.equal(await reader.read(target, 0), 5);
      assert.deepEqual(target, bytes);
      await reader.close();
    });

    test('forgets what is deleted, while those who have it open read on', async (t) => {
      const store = await make(t);
      const bytes = randomBytes(70_000);
      const digest = digestOf(bytes);
      await putBlob(store, bytes, digest);
      const reader = await opened(store, digest);
      assert.equal(await store.delete(digest), true);
      assert.equal(await store.delete(digest), false);
      assert.equal(await store.open(digest), undefined);
      assert.equal(await store.stat(digest), undefined);
      assert.deepEqual(await readAll(reader), bytes);
      await reader.close();
      await putBlob(store, bytes, digest);
      assert.deepEqual(await contentOf(store, digest), bytes);
    });

    test('takes a quarantined blob out of sight, and has room for a right one', async (t) => {
      const store = await make(t);
      const bytes = Buffer.from('right');
      const digest = digestOf(bytes);
      await putBlob(store, Buffer.from('wrong'), digest);
      await store.quarantine(digest);
      assert.equal(await store.open(digest), undefined);
      assert.equal(await store.stat(digest), undefined);
      assert.deepEqual(await listed(store), []);
      await putBlob(store, bytes, digest);
      assert.deepEqual(await contentOf(store, digest), bytes);
    });

    test('replaces a blob whose length is wrong', async (t) => {
      const store = await make(t);
      const bytes = Buffer.from('whole');
      const digest = digestOf(bytes);
      await putBlob(store, Buffer.from('who'), digest);
      await putBlob(store, bytes, digest);
      assert.deepEqual(await contentOf(store, digest), bytes);
    });

    test('replaces a blob whose bytes are wrong and as many', async (t) => {
      const store = await make(t);
      const bytes = Buffer.from('right');
      const digest = digestOf(bytes);
      await putBlob(store, Buffer.from('wrong'), digest);
      const reader = await opened(store, digest);
      await putBlob(store, bytes, digest);
      assert.deepEqual(await contentOf(store, digest), bytes);
      assert.equal((await readAll(reader)).toString(), 'wrong', 'who has the old one open reads on');
      await reader.close();
    });

    test('marks a blob, from its commit until it is replaced', async (t) => {
      const store = await make(t);
      const bytes = Buffer.from('marked');
      const digest = digestOf(bytes);
      const ingestion = await store.begin();
      t.after(() => ingestion.close());
      await ingestion.write(bytes, 0);
      assert.equal(ingestion.mark, undefined);
      await ingestion.commit(digest);
      const { mark } = ingestion;
      assert.equal(typeof mark, 'string');
      for (let time = 0; time < 2; time += 1) assert.equal(await markIn(store, digest), mark);
      await putBlob(store, bytes, digest);
      assert.notEqual(await markIn(store, digest), mark);
    });

    test('lists every blob with its size', async (t) => {
      const store = await make(t);
      const expected: [string, number][] = [];
      for (let size = 0; size < 40; size += 1) {
        const bytes = randomBytes(size);
        const digest = digestOf(bytes, size % 2 === 0 ? 'sha256' : 'sha512');
        await putBlob(store, bytes, digest);
        expected.push([digest, size]);
      }
      assert.deepEqual(await listed(store), expected.sort(byDigest));
    });

    test('reads a stored blob at any position, and nothing behind its end', async (t) => {
      const store = await make(t);
      const bytes = Buffer.from('0123456789');
      await putBlob(store, bytes, digestOf(bytes));
      const reader = await opened(store, digestOf(bytes));
      const target = Buffer.alloc(4);
      assert.equal(await reader.read(target, 3), 4);
      assert.equal(target.toString(), '3456');
      assert.equal(await reader.read(target, 8), 2);
      assert.equal(await reader.read(target, 10), 0);
      assert.equal(await reader.read(target, 1000), 0);
      await reader.close();
      await assert.rejects(reader.read(target, 0), /closed/);
    });
  });
}

/** Stores bytes under a digest without asking whether it is theirs. */
export async function putBlob(store: BlobStore, bytes: Buffer, digest = digestOf(bytes)): Promise<void> {
  const ingestion = await store.begin();
  try {
    await ingestion.write(bytes, 0);
    await ingestion.commit(digest);
  } finally {
    await ingestion.close();
  }
}

export async function contentOf(store: BlobStore, digest: ReturnType<typeof digestOf>): Promise<Buffer> {
  const reader = await opened(store, digest);
  try {
    return await readAll(reader);
  } finally {
    await reader.close();
  }
}

async function markIn(store: BlobStore, digest: ReturnType<typeof digestOf>): Promise<string | undefined> {
  const reader = await opened(store, digest);
  await reader.close();
  return reader.mark;
}

/** Every digest and size, sorted by digest. Also sees to it that both ways of listing agree. */
export async function listed(store: BlobStore): Promise<[string, number][]> {
  const entries: [string, number][] = [];
  for await (const { digest, size } of store.list()) entries.push([digest, size]);
  entries.sort(byDigest);
  const digests: string[] = [];
  for await (const some of store.listDigests()) digests.push(...some);
  assert.deepEqual(
    digests,
    entries.map(([digest]) => digest),
  );
  return entries;
}

function byDigest(a: [string, number], b: [string, number]): number {
  return a[0] < b[0] ? -1 : 1;
}

async function opened(store: BlobStore, digest: ReturnType<typeof digestOf>): Promise<StoredBlob> {
  const reader = await store.open(digest);
  assert.ok(reader !== undefined, `${digest} is not stored`);
  return reader;
}

async function readAll(source: Ingestion | StoredBlob): Promise<Buffer> {
  const parts: Buffer[] = [];
  const target = Buffer.alloc(16_384);
  for (let position = 0; ; ) {
    const bytes = await source.read(target, position);
    if (bytes === 0) return Buffer.concat(parts);
    parts.push(Buffer.from(target.subarray(0, bytes)));
    position += bytes;
  }
}
