import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, type TestContext, test } from 'node:test';
import { digestOf } from '../../src/oci/index.ts';
import { MAX_NOTE_BYTES, type ResumableBlobStore } from '../../src/store/index.ts';
import { MemoryBlobStore } from '../support/memory-blob-store.ts';
import { contentOf, listed, putBlob } from './blob-store.ts';

/** Makes an empty store, and cleans up after the test. */
export type MakeResumableStore = (context: TestContext) => Promise<ResumableBlobStore>;

/** What every {@link ResumableBlobStore} must do beside what a blob store must. */
export function resumableStoreSuite(name: string, make: MakeResumableStore): void {
  describe(`${name} as a resumable store`, () => {
    test('keeps a named file that is closed, with its note, until it is committed', async (t) => {
      const store = await make(t);
      const bytes = randomBytes(20_000);
      const before = Date.now();
      const first = await store.beginNamed('upload-1', 'the note, in ünicode');
      await first.write(bytes.subarray(0, 12_000), 0);
      await first.close();
      assert.deepEqual(await listed(store), []);
      const [entry, ...others] = await store.listNamed();
      assert.deepEqual(others, []);
      const { modifiedAt, ...rest } = entry ?? { modifiedAt: 0 };
      assert.deepEqual(rest, { name: 'upload-1', size: 12_000, note: 'the note, in ünicode' });
      assert.ok(modifiedAt >= before - 1000 && modifiedAt <= Date.now() + 1000, `${modifiedAt}`);

      const again = await store.reopen('upload-1');
      assert.ok(again !== undefined);
      assert.equal(again.size, 12_000);
      assert.equal(again.note, 'the note, in ünicode');
      const target = Buffer.alloc(12_000);
      assert.equal(await again.file.read(target, 0), 12_000);
      assert.deepEqual(target, bytes.subarray(0, 12_000));
      await again.file.write(bytes.subarray(12_000), 12_000);
      await again.file.commit(digestOf(bytes));
      assert.equal(typeof again.file.mark, 'string');
      await again.file.close();
      assert.deepEqual(await contentOf(store, digestOf(bytes)), bytes);
      assert.deepEqual(await store.listNamed(), []);
      assert.equal(await store.reopen('upload-1'), undefined);
    });

    test('cuts what was never acknowledged', async (t) => {
      const store = await make(t);
      const first = await store.beginNamed('cut', '');
      await first.write(Buffer.from('acknowledged, and more'), 0);
      await first.close();
      const again = await store.reopen('cut');
      assert.ok(again !== undefined);
      await assert.rejects(again.file.truncate(23), RangeError);
      await again.file.truncate(12);
      assert.equal((await store.listNamed())[0]?.size, 12);
      await again.file.write(Buffer.from('!'), 12);
      await again.file.commit(digestOf(Buffer.from('acknowledged!')));
      await assert.rejects(again.file.truncate(0), /committed/);
      await again.file.close();
      await assert.rejects(again.file.truncate(0));
      assert.equal((await contentOf(store, digestOf(Buffer.from('acknowledged!')))).toString(), 'acknowledged!');
    });

    test('leaves nothing of a named file that is aborted', async (t) => {
      const store = await make(t);
      const file = await store.beginNamed('gone', 'note');
      await file.write(Buffer.from('gone'), 0);
      await file.abort();
      await file.abort();
      await assert.rejects(file.commit(digestOf(Buffer.from('gone'))), /abort/);
      await file.close();
      assert.deepEqual(await store.listNamed(), []);
      assert.equal(await store.reopen('gone'), undefined);
      const next = await store.beginNamed('gone', 'next');
      assert.deepEqual(
        (await store.listNamed()).map(({ name, size, note }) => ({ name, size, note })),
        [{ name: 'gone', size: 0, note: 'next' }],
      );
      await next.abort();
      await next.close();
    });

    test('opens a named file once at a time, and begins a name once', async (t) => {
      const store = await make(t);
      const file = await store.beginNamed('one', 'first');
      await assert.rejects(store.reopen('one'), /open already/);
      await assert.rejects(store.beginNamed('one', 'second'), /already/);
      await file.close();
      await assert.rejects(store.beginNamed('one', 'second'), /already/);
      const again = await store.reopen('one');
      assert.equal(again?.note, 'first');
      await assert.rejects(store.reopen('one'), /open already/);
      await again?.file.abort();
      await again?.file.close();
    });

    test('refuses a name that could lead elsewhere, and a note that is too long', async (t) => {
      const store = await make(t);
      for (const name of ['', '..', 'a/b', 'A', 'a.b', 'a'.repeat(65), 'a\0', 'é']) {
        await assert.rejects(store.beginNamed(name, ''), RangeError, name);
        assert.equal(await store.reopen(name), undefined);
      }
      await assert.rejects(store.beginNamed('long', 'é'.repeat(MAX_NOTE_BYTES / 2 + 1)), RangeError);
      assert.deepEqual(await store.listNamed(), []);
      const longest = await store.beginNamed('a'.repeat(64), '"'.repeat(MAX_NOTE_BYTES));
      await longest.close();
      assert.equal((await store.reopen('a'.repeat(64)))?.note, '"'.repeat(MAX_NOTE_BYTES));
    });

    test('lets two named files of one digest both be committed', async (t) => {
      const store = await make(t);
      const bytes = randomBytes(30_000);
      const digest = digestOf(bytes);
      const files = await Promise.all(['a', 'b', 'c'].map((name) => store.beginNamed(name, name)));
      await Promise.all(files.map((file) => file.write(bytes, 0)));
      await Promise.all([...files.map((file) => file.commit(digest)), store.delete(digest)]);
      await Promise.all(files.map((file) => file.close()));
      assert.deepEqual(await store.listNamed(), []);
      await putBlob(store, bytes);
      assert.deepEqual(await contentOf(store, digest), bytes);
    });

    test('lets a delete beside a commit leave the whole blob or none', async (t) => {
      const store = await make(t);
      const bytes = randomBytes(10_000);
      const digest = digestOf(bytes);
      for (let round = 0; round < 20; round += 1) {
        const file = await store.beginNamed(`round-${round}`, '');
        await file.write(bytes, 0);
        await Promise.all([file.commit(digest), store.delete(digest)]);
        await file.close();
        if ((await store.stat(digest)) !== undefined) assert.deepEqual(await contentOf(store, digest), bytes);
      }
    });

    test('takes a blob of another store, and nothing that is missing or corrupt there', async (t) => {
      const store = await make(t);
      const other = new MemoryBlobStore();
      const bytes = randomBytes(3_000_000);
      for (const algorithm of ['sha256', 'sha512'] as const) {
        const digest = digestOf(bytes, algorithm);
        assert.equal(await store.takeFrom(other, digest), undefined);
        await putBlob(other, bytes, digest);
        assert.equal(await store.takeFrom(other, digest), bytes.length);
        assert.equal(await store.takeFrom(other, digest), bytes.length);
        await other.delete(digest);
        assert.deepEqual(await contentOf(store, digest), bytes);
      }
      const wrong = digestOf(Buffer.from('right'));
      await putBlob(other, Buffer.from('wrong'), wrong);
      assert.equal(await store.takeFrom(other, wrong), undefined);
      assert.equal(await store.stat(wrong), undefined);
    });

    test('replaces a damaged blob by that of the other store, and not a right one by a damaged one', async (t) => {
      const store = await make(t);
      const other = new MemoryBlobStore();
      const bytes = Buffer.from('whole');
      const digest = digestOf(bytes);
      await putBlob(store, Buffer.from('who'), digest);
      await putBlob(other, bytes);
      assert.equal(await store.takeFrom(other, digest), 5);
      assert.deepEqual(await contentOf(store, digest), bytes);
      for (const damaged of ['who', 'WHOLE']) {
        await putBlob(other, Buffer.from(damaged), digest);
        await store.takeFrom(other, digest);
        assert.deepEqual(await contentOf(store, digest), bytes);
      }
    });
  });
}
