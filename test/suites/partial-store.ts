import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, type TestContext, test } from 'node:test';
import { digestOf } from '../../src/oci/index.ts';
import { type BlobStore, MAX_PARTIAL_NOTE_BYTES, type PartialStore } from '../../src/store/index.ts';
import { contentOf, listed } from './blob-store.ts';

/** A store that keeps partial content. */
export type StoreOfPartials = BlobStore & { readonly partials: PartialStore };

/** Makes an empty store, and cleans up after the test. */
export type MakeStoreOfPartials = (context: TestContext) => Promise<StoreOfPartials>;

/** What every {@link PartialStore} must do. */
export function partialStoreSuite(name: string, make: MakeStoreOfPartials): void {
  describe(`${name} as a store of partial content`, () => {
    for (const algorithm of ['sha256', 'sha512'] as const) {
      test(`keeps a file that is left, with its note, until it is committed (${algorithm})`, async (t) => {
        const store = await make(t);
        const { partials } = store;
        const bytes = randomBytes(90_000);
        const digest = digestOf(bytes, algorithm);
        const first = await partials.begin(digest);
        await first.write(bytes.subarray(0, 20_000), 0);
        await first.note('the first');
        await first.write(bytes.subarray(50_000, 60_000), 50_000);
        await first.note('the second, in ünicode', { flush: 'all' });
        first.leave();
        await first.close();
        assert.deepEqual(await listed(store), [], 'it is no blob');
        const [entry, ...others] = await partials.list();
        assert.deepEqual(others, []);
        assert.equal(entry?.digest, digest);
        assert.ok(entry.bytes >= 30_000 && entry.bytes <= 70_000, `${entry.bytes}`);
        assert.ok(Math.abs(entry.modifiedAt - Date.now()) < 60_000);

        const again = await partials.reopen(digest);
        assert.ok(again !== undefined);
        const { file, size, note, isIntact } = again;
        assert.deepEqual([size, note, isIntact], [60_000, 'the second, in ünicode', true]);
        const target = Buffer.alloc(10_000);
        assert.equal(await file.read(target, 50_000), 10_000);
        assert.deepEqual(target, bytes.subarray(50_000, 60_000));
        await file.write(bytes.subarray(20_000), 20_000);
        await file.commit(digest);
        assert.equal(typeof file.mark, 'string');
        await file.close();
        assert.deepEqual(await contentOf(store, digest), bytes);
        assert.deepEqual(await partials.list(), []);
        assert.equal(await partials.reopen(digest), undefined);
      });
    }

    test('leaves nothing of a file without a note, or that is aborted', async (t) => {
      const { partials } = await make(t);
      const bytes = randomBytes(1000);
      const digest = digestOf(bytes);
      const plain = await partials.begin(digest);
      await plain.write(bytes, 0);
      assert.throws(() => plain.leave());
      await plain.close();
      const aborted = await partials.begin(digest);
      await aborted.write(bytes, 0);
      await aborted.note('note');
      await aborted.abort();
      await aborted.abort();
      await assert.rejects(aborted.commit(digest));
      await aborted.close();
      assert.deepEqual(await partials.list(), []);
      assert.equal(await partials.reopen(digest), undefined);
    });

    test('keeps a file that is closed after its note, as a kill does', async (t) => {
      const { partials } = await make(t);
      const digest = digestOf(randomBytes(10));
      const file = await partials.begin(digest);
      await file.write(Buffer.from('some'), 0);
      await file.note('note');
      await file.close();
      const again = await partials.reopen(digest);
      assert.equal(again?.note, 'note');
      await again?.file.close();
    });

    test('opens a file once at a time; what was left can be read on, and is out of reach', async (t) => {
      const store = await make(t);
      const { partials } = store;
      const bytes = randomBytes(5000);
      const digest = digestOf(bytes);
      const first = await partials.begin(digest);
      await first.write(bytes.subarray(0, 3000), 0);
      await first.note('first');
      assert.equal(await partials.reopen(digest), undefined);
      assert.equal(await partials.remove(digest), false);
      assert.deepEqual(await partials.list(), []);
      first.leave();
      const second = await partials.reopen(digest);
      assert.ok(second !== undefined);
      assert.equal(await partials.reopen(digest), undefined);
      await first.abort();
      await assert.rejects(first.commit(digest));
      await assert.rejects(first.note('late'));
      await second.file.write(bytes.subarray(3000), 3000);
      await second.file.commit(digest);
      const target = Buffer.alloc(3000);
      assert.equal(await first.read(target, 0), 3000);
      assert.deepEqual(target, bytes.subarray(0, 3000));
      await first.close();
      await second.file.close();
      assert.deepEqual(await contentOf(store, digest), bytes);
    });

    test('keeps one file of a digest: a second one cannot be kept, and harms none', async (t) => {
      const { partials } = await make(t);
      const digest = digestOf(randomBytes(10));
      const [first, second] = [await partials.begin(digest), await partials.begin(digest)];
      await first.write(Buffer.from('first'), 0);
      await second.write(Buffer.from('second'), 0);
      await first.note('of the first');
      await assert.rejects(second.note('of the second'));
      await second.close();
      first.leave();
      await first.close();
      assert.equal((await partials.list()).length, 1);
      const third = await partials.reopen(digest);
      assert.deepEqual([third?.note, third?.size], ['of the first', 5]);
      await third?.file.close();
    });

    test('removes what no transfer has', async (t) => {
      const { partials } = await make(t);
      const digest = digestOf(randomBytes(10));
      assert.equal(await partials.remove(digest), false);
      const file = await partials.begin(digest);
      await file.note('note');
      file.leave();
      await file.close();
      assert.equal(await partials.remove(digest), true);
      assert.equal(await partials.remove(digest), false);
      assert.deepEqual(await partials.list(), []);
    });

    test('writes notes one after the other, and before the file ends', async (t) => {
      const store = await make(t);
      const { partials } = store;
      const bytes = randomBytes(100);
      const file = await partials.begin(digestOf(bytes));
      await file.write(bytes, 0);
      const notes = Array.from({ length: 10 }, (_, at) => file.note(`note ${at}`));
      const committed = file.commit(digestOf(bytes));
      await Promise.all([...notes, committed]);
      await file.close();
      assert.deepEqual(await partials.list(), []);
      assert.deepEqual(await contentOf(store, digestOf(bytes)), bytes);
    });

    test('refuses a note that is too long', async (t) => {
      const { partials } = await make(t);
      const digest = digestOf(randomBytes(10));
      const file = await partials.begin(digest);
      await assert.rejects(file.note('é'.repeat(MAX_PARTIAL_NOTE_BYTES / 2 + 1)), RangeError);
      await file.note('"'.repeat(MAX_PARTIAL_NOTE_BYTES));
      file.leave();
      await file.close();
      const again = await partials.reopen(digest);
      assert.equal(again?.note, '"'.repeat(MAX_PARTIAL_NOTE_BYTES));
      await again?.file.abort();
      await again?.file.close();
    });
  });
}
