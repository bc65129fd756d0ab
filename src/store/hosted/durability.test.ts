import assert from 'node:assert/strict';
import { copyFile, open, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { APP, blobOf, digestOf, how, image, push, temporaryFile } from '../../../test/support/hosted-records.ts';
import { mountSmallDisk } from '../../../test/support/small-disk.ts';
import { isFullDisk } from '../sqlite-error.ts';
import type { HostedStore } from './hosted-store.ts';
import { openHostedStore } from './open.ts';
import { HOSTED_USE_NOTED_AFTER } from './uses.ts';

const HOUR = HOSTED_USE_NOTED_AFTER;

describe('a change of hosted records', () => {
  test('is answered when the log is flushed, and all that came before share one flush', async (t) => {
    const { store, flushes } = await start(t);
    const first = watch(store.putBlob(APP, blobOf('1'), { at: 1 }));
    const second = watch(store.putBlob(APP, blobOf('2'), { at: 1 }));
    await nextTurn();
    assert.equal(flushes.length, 1);
    // It is applied at once.
    assert.ok(await store.getBlob(APP, digestOf('2')));
    const third = watch(store.putBlob(APP, blobOf('3'), { at: 1 }));
    await nextTurn();
    assert.deepEqual([flushes.length, first.state, second.state], [1, 'waits', 'waits']);
    flushes[0]?.resolve();
    assert.equal(await first.promise, 'stored');
    assert.equal(await second.promise, 'stored');
    await nextTurn();
    // What came while it ran needs the next.
    assert.deepEqual([flushes.length, third.state], [2, 'waits']);
    flushes[1]?.resolve();
    assert.equal(await third.promise, 'stored');
    // What changes nothing, and saw nothing that is not flushed, waits for none.
    assert.equal(await store.deleteBlob(APP, digestOf('x')), undefined);
    assert.equal(await store.putBlob(APP, blobOf('3'), { at: 1 }), 'stored');
    assert.equal(flushes.length, 2);
  });

  test('that finds all done by another waits for the flush of the other', async (t) => {
    const { store, flushes } = await start(t);
    const first = watch(store.putBlob(APP, blobOf('1'), { at: 1 }));
    const same = watch(store.putBlob(APP, blobOf('1'), { at: 1 }));
    await nextTurn();
    assert.equal(same.state, 'waits');
    flushes[0]?.resolve();
    await Promise.all([first.promise, same.promise]);
    assert.equal(flushes.length, 1);
  });

  test('lets a file be deleted only when its record cannot come back', async (t) => {
    const { store, flushes, pass } = await start(t);
    await pass(store.putBlob(APP, blobOf('1'), { at: 1 }));
    const deletion = watch(store.deleteBlob(APP, digestOf('1')));
    const asked = watch(store.isReferenced(digestOf('1')));
    await nextTurn();
    assert.deepEqual([deletion.state, asked.state], ['waits', 'waits']);
    flushes.at(-1)?.resolve();
    assert.equal(await asked.promise, false);
  });

  test('writes a use without holding the answer', async (t) => {
    const { store, flushes, pass } = await start(t);
    await pass(store.putBlob(APP, blobOf('1'), { at: 0 }));
    assert.ok(await store.useBlob(APP, digestOf('1'), HOUR - 1));
    await nextTurn();
    assert.equal(flushes.length, 1);
    assert.ok(await store.useBlob(APP, digestOf('1'), HOUR));
    await nextTurn();
    assert.equal(flushes.length, 2);
    flushes[1]?.resolve();
  });

  test('rejects where the flush fails, as does every one after it, until the file is opened again', async (t) => {
    const { store, flushes, pass, file, warnings } = await start(t);
    await pass(push(store, 'a', how(['v1'])));
    const lost = store.putBlob(APP, blobOf('lost'), { at: 1 });
    const waiting = assert.rejects(lost, (error: Error) => {
      assert.equal(error.name, 'HostedStoreError');
      assert.match(error.message, /could not be flushed to the disk \(EIO\).*restart the server\.$/);
      assert.equal(isFullDisk(error), false);
      return true;
    });
    await nextTurn();
    const also = assert.rejects(store.deleteTag(APP, 'v1', { at: 2, by: 'bob' }), { name: 'HostedStoreError' });
    flushes.at(-1)?.reject(Object.assign(new Error('EIO'), { code: 'EIO' }));
    await Promise.all([waiting, also]);
    const count = flushes.length;
    for (const change of [
      () => store.putManifest(APP, image('b', { references: [] }).manifest, how()),
      () => store.collect({ unusedSince: 9, limit: 9 }),
      () => store.isReferenced(digestOf('x')),
    ]) {
      await assert.rejects(change, { name: 'HostedStoreError' });
    }
    // Clients go on to pull; what they are told cannot be noted.
    assert.ok(await store.getManifest(APP, digestOf('a')));
    assert.ok(await store.useManifest(APP, digestOf('a'), 9 * HOUR));
    assert.ok(await store.useManifest(APP, digestOf('a'), 9 * HOUR + 1));
    assert.equal(warnings.length, 1);
    assert.equal(flushes.length, count);

    // The log that the disk refused is left for the next opening, which checks it.
    const { size } = await stat(`${file}-wal`);
    assert.ok(size > 0);
    await store.close();
    assert.equal((await stat(`${file}-wal`)).size, size);
    const again = await openHostedStore(file);
    t.after(() => again.close());
    assert.equal(await again.putBlob(APP, blobOf('found'), { at: 1 }), 'stored');
    assert.ok(await again.getManifest(APP, digestOf('a')));
  });

  test('says so where the flush finds the disk full', async (t) => {
    const { store, flushes } = await start(t);
    const change = store.putBlob(APP, blobOf('1'), { at: 1 });
    const rejected = assert.rejects(change, (error: Error) => {
      assert.match(error.message, /its disk is full\. Make room on it, and restart the server/);
      assert.equal(isFullDisk(error), true);
      return true;
    });
    await nextTurn();
    flushes[0]?.reject(Object.assign(new Error('ENOSPC'), { code: 'ENOSPC' }));
    await rejected;
  });

  test('survives a power cut right after its answer: the database and the flushed log have it', async (t) => {
    const file = await temporaryFile(t);
    const store = await openHostedStore(file);
    t.after(() => store.close());
    await push(store, 'a', how(['v1']));
    const { size } = await stat(`${file}-wal`);
    await push(store, 'b', how(['v1']));
    // What the disk has of the log may end anywhere: the longest whole beginning counts.
    const { size: end } = await stat(`${file}-wal`);
    for (const cut of [0, 100, size, size + 1, size + 5000, end - 1, end]) {
      const copy = join(dirname(file), `cut-${cut}.db`);
      await copyFile(file, copy);
      await copyFile(`${file}-wal`, `${copy}-wal`);
      {
        await using log = await open(`${copy}-wal`, 'r+');
        await log.truncate(cut);
      }
      const found = await openHostedStore(copy);
      const { digest } = (await found.getTag(APP, 'v1')) ?? {};
      assert.equal(digest, cut < size ? undefined : digestOf(cut === end ? 'b' : 'a'), `${cut} of ${end}`);
      if (digest !== undefined) assert.ok(await found.getManifest(APP, digest));
      await found.close();
    }
  });
});

test('every answer of hosted records follows a flush that had its change', async (t) => {
  const file = await temporaryFile(t);
  let flushes = 0;
  let flushed = '';
  const store = await openHostedStore(file, {
    // What lies on the disk from then on, if the power fails.
    async flush() {
      const copy = join(dirname(file), `flushed-${flushes}.db`);
      flushes += 1;
      for (const suffix of ['', '-wal']) await copyFile(`${file}${suffix}`, `${copy}${suffix}`);
      flushed = copy;
    },
  });
  t.after(() => store.close());
  const answered: { readonly text: string; readonly copy: string }[] = [];
  const write = async (name: string): Promise<void> => {
    for (let i = 0; i < 6; i += 1) {
      await push(store, `${name}-${i}`, how([`${name}-${i}`]));
      answered.push({ text: `${name}-${i}`, copy: flushed });
    }
  };
  await Promise.all(['a', 'b', 'c', 'd', 'e'].map(write));
  // Each image takes three changes, of which each may wait for two flushes.
  assert.ok(flushes < 5 * 6 * 2, `${flushes} flushes`);
  for (const copy of new Set(answered.map((each) => each.copy))) {
    const found = await openHostedStore(copy);
    for (const { text } of answered.filter((each) => each.copy === copy)) {
      assert.equal((await found.getTag(APP, text))?.digest, digestOf(text));
    }
    await found.close();
  }
});

describe('hosted records on a full disk', () => {
  test('reject the change with the reason, change nothing, and go on when there is room', async (t) => {
    const directory = await mountSmallDisk(t, 1024 * 1024);
    if (directory === undefined) return;
    const file = join(directory, 'hosted.db');
    const warnings: string[] = [];
    const store = await openHostedStore(file, { onWarning: (message) => warnings.push(message) });
    t.after(() => store.close());
    await store.putBlob(APP, blobOf('used'), { at: 0 });
    await fillUp(directory);
    const annotations = { text: 'x'.repeat(100_000) };
    const { manifest } = image('big', { references: [], annotations });
    await assert.rejects(store.putManifest(APP, manifest, how(['v1'])), (error: Error) => {
      assert.match(error.message, /^Cannot use the records .*: its disk is full\. Make room on it\.$/);
      assert.equal(isFullDisk(error), true);
      return true;
    });
    assert.equal(await store.getTag(APP, 'v1'), undefined);
    assert.equal(await store.getManifest(APP, manifest.digest), undefined);
    // A client was told that it exists, which cannot be written: the collection leaves it all the same.
    let at = HOUR;
    while (warnings.length === 0) {
      assert.ok(await store.useBlob(APP, digestOf('used'), at));
      at += HOUR;
    }
    assert.match(warnings.join(), /its disk is full/);
    const lastUse = at - HOUR;
    await truncateFull(directory);
    assert.deepEqual((await store.collect({ unusedSince: lastUse, limit: 9 })).removed, []);
    assert.equal((await store.collect({ unusedSince: lastUse + 1, limit: 9 })).removed.length, 1);
    assert.equal((await store.putManifest(APP, manifest, how(['v1']))).outcome, 'stored');
  });

  test('are read after a start there', async (t) => {
    const directory = await mountSmallDisk(t, 1024 * 1024);
    if (directory === undefined) return;
    const file = join(directory, 'hosted.db');
    const before = await openHostedStore(file);
    await push(before, 'a', how(['v1']));
    await before.close();
    await fillUp(directory);
    const store = await openHostedStore(file);
    t.after(() => store.close());
    assert.equal((await store.getTag(APP, 'v1'))?.digest, digestOf('a'));
    await assert.rejects(store.putBlob(APP, blobOf('x'), { at: 1 }), /its disk is full/);
    const elsewhere = await temporaryFile(t);
    await store.backUp(elsewhere);
    const copied = await openHostedStore(elsewhere);
    assert.deepEqual(await copied.totals(), await store.totals());
    await copied.close();
    await truncateFull(directory);
    assert.equal(await store.putBlob(APP, blobOf('x'), { at: 1 }), 'stored');
  });
});

interface Flush {
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/** A store whose flushes end when the test says so. */
async function start(t: TestContext) {
  const file = await temporaryFile(t);
  const flushes: Flush[] = [];
  const warnings: string[] = [];
  let ends = false;
  const store: HostedStore = await openHostedStore(file, {
    onWarning: (message) => warnings.push(message),
    flush: () =>
      new Promise<void>((resolve, reject) => {
        flushes.push({ resolve, reject });
        if (ends) resolve();
      }),
  });
  t.after(() => {
    ends = true;
    flushes.at(-1)?.resolve();
    return store.close();
  });
  /** Ends all flushes until the change is answered. */
  const pass = async <T>(change: Promise<T>): Promise<T> => {
    ends = true;
    flushes.at(-1)?.resolve();
    const result = await change;
    ends = false;
    return result;
  };
  return { store, flushes, pass, file, warnings };
}

function watch<T>(promise: Promise<T>): { readonly promise: Promise<T>; state: 'waits' | 'done' } {
  const watched: { readonly promise: Promise<T>; state: 'waits' | 'done' } = { promise, state: 'waits' };
  const done = (): void => {
    watched.state = 'done';
  };
  promise.finally(done).catch(() => undefined);
  return watched;
}

/** Leaves no byte free on a small disk. */
async function fillUp(directory: string): Promise<void> {
  await using file = await open(join(directory, 'full'), 'w');
  for (let size = 64 * 1024; size >= 1; size = Math.floor(size / 2)) {
    try {
      for (;;) await file.write(Buffer.alloc(size));
    } catch (error) {
      if (!isFullDisk(error)) throw error;
    }
  }
}

async function truncateFull(directory: string): Promise<void> {
  await using file = await open(join(directory, 'full'), 'r+');
  await file.truncate(0);
}
