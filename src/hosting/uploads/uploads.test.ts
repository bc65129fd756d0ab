import assert from 'node:assert/strict';
import { mkdtemp, readdir, readlink, rm, truncate } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { MemoryBlobStore, MemoryResumableBlobStore } from '../../../test/support/memory-blob-store.ts';
import type { ByteSource } from '../../lib/index.ts';
import { type Digest, digestOf, OciError } from '../../oci/index.ts';
import { MemoryHostedStore } from '../../store/hosted/index.ts';
import { openFilesystemBlobStore, openHostedBlobStore, type ResumableBlobStore } from '../../store/index.ts';
import { type Events, Telemetry } from '../../telemetry/index.ts';
import { DigestLocks } from '../digest-locks.ts';
import { type UploadBody, Uploads, type UploadsOptions } from './index.ts';

const APP = { registry: 'apps', repository: 'team/app' };
const OTHER = { registry: 'apps', repository: 'team/other' };
const ALICE = { repository: APP, by: 'alice' };

/** A body that comes in pieces; an error breaks it off, and `wait` is awaited before the piece behind it. */
class Pieces implements ByteSource {
  readonly #pieces: (Buffer | Error | Promise<void>)[];
  #cancelled = Promise.withResolvers<never>();
  isCancelled = false;

  constructor(...pieces: (Buffer | Error | Promise<void>)[]) {
    this.#pieces = pieces;
    this.#cancelled.promise.catch(() => {});
  }

  async read(): Promise<Buffer | undefined> {
    for (;;) {
      const piece = this.#pieces.shift();
      if (piece instanceof Error) throw piece;
      if (!(piece instanceof Promise)) return piece;
      await Promise.race([piece, this.#cancelled.promise]);
    }
  }

  cancel(): void {
    this.isCancelled = true;
    this.#cancelled.reject(new Error('cancelled'));
  }
}

function bodyOf(...pieces: (Buffer | Error | Promise<void>)[]): UploadBody {
  return { length: undefined, source: new Pieces(...pieces) };
}

const bytesOf = (text: string): Buffer => Buffer.from(text);

/** Uploads, and what is behind them. */
async function open(t: TestContext, options: Partial<UploadsOptions> = {}) {
  const telemetry = new Telemetry();
  const warnings: Events['warning'][] = [];
  telemetry.on('warning', (warning) => warnings.push(warning));
  const store = options.store ?? new MemoryResumableBlobStore();
  const records = new MemoryHostedStore();
  const locks = new DigestLocks();
  const all: UploadsOptions = { store, records, locks, telemetry, ...options };
  const world = { store, records, locks, warnings, uploads: await Uploads.open(all), restart };
  async function restart(): Promise<void> {
    await world.uploads.close();
    world.uploads = await Uploads.open(all);
  }
  t.after(() => world.uploads.close());
  return world;
}

async function append(uploads: Uploads, id: string, body: UploadBody, how = {}): Promise<number> {
  await uploads.hold(id, ALICE, (upload) => upload.append(body, how));
  return sizeOf(uploads, id);
}

const sizeOf = (uploads: Uploads, id: string) => uploads.hold(id, ALICE, async ({ size }) => size);
const finish = (uploads: Uploads, id: string, digest: Digest) =>
  uploads.hold(id, ALICE, (upload) => upload.finish(digest));

async function contentOf(store: ResumableBlobStore, digest: Digest): Promise<string | undefined> {
  const blob = await store.open(digest);
  if (blob === undefined) return undefined;
  const bytes = Buffer.alloc(blob.size);
  await blob.read(bytes, 0);
  await blob.close();
  return bytes.toString();
}

async function hostedDirectory(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'uploads-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

const isCode = (code: string) => (error: unknown) => error instanceof OciError && error.code === code;

describe('a body that breaks off', () => {
  test('leaves what arrived', async (t) => {
    const { uploads, store } = await open(t);
    const id = await uploads.start(ALICE);
    await assert.rejects(append(uploads, id, bodyOf(bytesOf('one '), bytesOf('two '), new Error('cut'))), /cut/);
    assert.equal(await sizeOf(uploads, id), 8);
    assert.equal(await append(uploads, id, bodyOf(bytesOf('three'))), 13);
    const digest = digestOf(bytesOf('one two three'));
    await finish(uploads, id, digest);
    assert.equal(await contentOf(store, digest), 'one two three');
  });

  for (const how of [{ isWhole: true }, { end: 100 }]) {
    test(`leaves nothing of a body that is all or nothing: ${JSON.stringify(how)}`, async (t) => {
      const world = await open(t);
      const { store } = world;
      const id = await world.uploads.start(ALICE);
      await append(world.uploads, id, bodyOf(bytesOf('one ')));
      await assert.rejects(
        append(world.uploads, id, bodyOf(bytesOf('longer than it is'), new Error('cut')), how),
        /cut/,
      );
      assert.deepEqual(
        (await store.listNamed()).map(({ size }) => size),
        [4],
      );
      await world.restart();
      assert.equal(await append(world.uploads, id, bodyOf(bytesOf('two'))), 7);
      const digest = digestOf(bytesOf('one two'));
      await finish(world.uploads, id, digest);
      assert.equal(await contentOf(store, digest), 'one two');
    });
  }
});

describe('a disk that refuses', () => {
  test('is answered as unavailable; the operator is told once; the upload goes on with room', async (t) => {
    const store = new MemoryResumableBlobStore({ capacity: 100 });
    const { uploads, warnings } = await open(t, { store });
    const filler = digestOf(Buffer.alloc(60));
    await uploads.pushWhole(OTHER, filler, bodyOf(Buffer.alloc(60)));
    const id = await uploads.start(ALICE);
    const pieces = ['a', 'b', 'c', 'd'].map((each) => bytesOf(each.repeat(15)));
    await append(uploads, id, bodyOf(...pieces.slice(0, 2)));
    for (const _ of [1, 2])
      await assert.rejects(append(uploads, id, bodyOf(...pieces.slice(2))), isCode('UNAVAILABLE'));
    assert.equal(warnings.length, 1);
    assert.match(warnings[0]?.message ?? '', /Free some space/);
    assert.equal(await sizeOf(uploads, id), 30);
    await store.delete(filler);
    await append(uploads, id, bodyOf(...pieces.slice(2)));
    const digest = digestOf(Buffer.concat(pieces));
    await finish(uploads, id, digest);
    assert.equal(await contentOf(store, digest), Buffer.concat(pieces).toString());
  });

  test('is not hidden where it is not full', async (t) => {
    const store = new MemoryResumableBlobStore();
    const begin = store.beginNamed.bind(store);
    let isBroken = true;
    store.beginNamed = async (name, note) => {
      const file = await begin(name, note);
      const write = file.write.bind(file);
      file.write = (chunk, position) => (isBroken ? Promise.reject(new Error('EIO')) : write(chunk, position));
      return file;
    };
    const { uploads } = await open(t, { store });
    const id = await uploads.start(ALICE);
    await assert.rejects(append(uploads, id, bodyOf(bytesOf('one'), bytesOf('two'))), /EIO/);
    isBroken = false;
    assert.equal(await append(uploads, id, bodyOf(bytesOf('three'))), 5);
    await finish(uploads, id, digestOf(bytesOf('three')));
  });

  test('leaves no file behind a record that cannot be written', async (t) => {
    const { uploads, store, records } = await open(t);
    records.putBlob = () => Promise.reject(new Error('the database is locked'));
    const digest = digestOf(bytesOf('x'));
    await assert.rejects(uploads.pushWhole(APP, digest, bodyOf(bytesOf('x'))), /locked/);
    assert.equal(await store.stat(digest), undefined);
    const id = await uploads.start(ALICE);
    await append(uploads, id, bodyOf(bytesOf('x')));
    await assert.rejects(finish(uploads, id, digest), /locked/);
    assert.deepEqual([await store.stat(digest), await store.listNamed(), uploads.count], [undefined, [], 0]);
  });
});

describe('a quota', () => {
  test('leaves a file that another repository has', async (t) => {
    const quotaOf = ({ repository }: { readonly repository: string }) =>
      repository === APP.repository ? 10 : undefined;
    const { uploads, store } = await open(t, { quotaOf });
    await uploads.pushWhole(APP, digestOf(bytesOf('eight...')), bodyOf(bytesOf('eight...')));
    const digest = digestOf(bytesOf('five.'));
    await uploads.pushWhole(OTHER, digest, bodyOf(bytesOf('five.')));
    await assert.rejects(uploads.pushWhole(APP, digest, bodyOf(bytesOf('five.'))), isCode('DENIED'));
    await assert.rejects(uploads.mount(APP, digest, OTHER), isCode('DENIED'));
    assert.equal(await contentOf(store, digest), 'five.');
  });
});

describe('the lock of a digest', () => {
  test('is held from the file to the record', async (t) => {
    const { uploads, locks, store } = await open(t);
    const digest = digestOf(bytesOf('x'));
    const released = Promise.withResolvers<void>();
    const held = locks.run(digest, () => released.promise);
    const pushing = uploads.pushWhole(APP, digest, bodyOf(bytesOf('x')));
    for (let turns = 0; turns < 20; turns += 1) await turn();
    assert.equal(await store.stat(digest), undefined);
    released.resolve();
    await Promise.all([held, pushing]);
    assert.equal(await contentOf(store, digest), 'x');
  });
});

describe('a restart', () => {
  test('finds uploads on the disk, whole after a kill in the middle of a body', async (t) => {
    const directory = await hostedDirectory(t);
    const before = await open(t, { store: await openHostedBlobStore(directory) });
    const id = await before.uploads.start(ALICE, 'sha512');
    const hang = new Promise<void>(() => {});
    void before.uploads.hold(id, ALICE, (upload) => upload.append(bodyOf(bytesOf('one '), hang))).catch(() => {});
    while ((await before.store.listNamed())[0]?.size !== 4) await turn();
    // The process is gone: nothing was closed.
    const { uploads, store } = await open(t, { store: await openHostedBlobStore(directory) });
    assert.deepEqual([uploads.count, uploads.bytes, await sizeOf(uploads, id)], [1, 4, 4]);
    await append(uploads, id, bodyOf(bytesOf('two')));
    const digest = digestOf(bytesOf('one two'), 'sha512');
    await finish(uploads, id, digest);
    assert.equal(await contentOf(store, digest), 'one two');
  });

  test('removes what was idle for too long, and what says not whose it is', async (t) => {
    let now = Date.now();
    const store = new MemoryResumableBlobStore({ now: () => now });
    const world = await open(t, { store, now: () => now });
    await world.uploads.start(ALICE);
    for (const [name, note] of [
      ['one', 'not JSON'],
      ['two', '{"registry":"apps"}'],
      ['three', 'null'],
    ] as const) {
      await (await store.beginNamed(name, note)).close();
    }
    await world.restart();
    assert.equal((await store.listNamed()).length, 1);
    assert.equal(world.warnings.length, 3);
    now += 24 * 3_600_000;
    await world.restart();
    assert.deepEqual([await store.listNamed(), world.uploads.count], [[], 0]);
  });

  test('is announced to a request that it ends, and the upload stays', async (t) => {
    const world = await open(t);
    const id = await world.uploads.start(ALICE);
    const appending = append(world.uploads, id, bodyOf(bytesOf('one '), new Promise<void>(() => {})));
    const refused = assert.rejects(appending, isCode('UNAVAILABLE'));
    while (world.uploads.busy === 0) await turn();
    await turn();
    await world.restart();
    await refused;
    assert.equal(await sizeOf(world.uploads, id), 4);
  });
});

describe('the files of uploads', () => {
  test('are not all kept open', async (t) => {
    const directory = await hostedDirectory(t);
    const { uploads } = await open(t, { store: await openHostedBlobStore(directory) });
    const ids: string[] = [];
    for (let count = 0; count < 80; count += 1) ids.push(await uploads.start(ALICE));
    const descriptors = await readdir('/proc/self/fd');
    const targets = await Promise.all(descriptors.map((each) => readlink(`/proc/self/fd/${each}`).catch(() => '')));
    assert.equal(targets.filter((each) => each.startsWith(directory)).length, 64);
    // The hash of a closed one goes on.
    for (const id of ids.slice(0, 3)) {
      await append(uploads, id, bodyOf(bytesOf(id)));
      await finish(uploads, id, digestOf(bytesOf(id)));
    }
  });

  test('that another program has cut are unknown, and removed', async (t) => {
    const directory = await hostedDirectory(t);
    const { uploads, store } = await open(t, { store: await openHostedBlobStore(directory) });
    const id = await uploads.start(ALICE);
    await append(uploads, id, bodyOf(bytesOf('one two')));
    for (let count = 0; count < 64; count += 1) await uploads.start({ ...ALICE, repository: OTHER });
    await truncate(join(directory, 'uploads', id), 3);
    await assert.rejects(append(uploads, id, bodyOf(bytesOf('three'))), isCode('BLOB_UPLOAD_UNKNOWN'));
    assert.equal(
      (await store.listNamed()).some(({ name }) => name === id),
      false,
    );
    assert.equal(uploads.count, 64);
  });
});

describe('a blob of the cache', () => {
  test('is taken, and is the repository’s then', async (t) => {
    const cacheStore = new MemoryBlobStore();
    const { uploads, store, records } = await open(t, { cacheStore });
    const digest = digestOf(bytesOf('layer'));
    assert.equal(await uploads.take(APP, digest), undefined);
    cacheStore.plant(digest, bytesOf('layer'));
    assert.deepEqual(await uploads.take(APP, digest), { digest, size: 5 });
    await cacheStore.delete(digest);
    assert.equal(await contentOf(store, digest), 'layer');
    assert.deepEqual(await records.getBlob(APP, digest), { digest, size: 5 });
  });

  test('that has rotted is not taken by a hard link', async (t) => {
    const directory = await hostedDirectory(t);
    const cacheStore = await openFilesystemBlobStore(join(directory, 'cache'));
    const digest = digestOf(bytesOf('layer'));
    const confirmed: Digest[] = [];
    const { uploads, store, records } = await open(t, {
      cacheStore,
      store: await openHostedBlobStore(join(directory, 'hosted')),
      onCommit: async (committed) => void confirmed.push(committed),
    });
    const plant = async (text: string): Promise<void> => {
      const file = await cacheStore.begin();
      await file.write(bytesOf(text), 0);
      await file.commit(digest);
      await file.close();
    };
    await plant('rotten');
    assert.equal(await uploads.take(APP, digest), undefined);
    assert.deepEqual([await store.stat(digest), await records.getBlob(APP, digest)], [undefined, undefined]);
    await plant('layer');
    assert.deepEqual(await uploads.take(APP, digest), { digest, size: 5 });
    assert.equal(await contentOf(store, digest), 'layer');
    assert.deepEqual(confirmed, [digest]);
  });

  test('is mounted from a record only where its file is there', async (t) => {
    const { uploads, store } = await open(t);
    const digest = digestOf(bytesOf('layer'));
    await uploads.pushWhole(OTHER, digest, bodyOf(bytesOf('layer')));
    await store.delete(digest);
    assert.equal(await uploads.mount(APP, digest, OTHER), undefined);
  });
});

describe('many requests', () => {
  test('at once start no more uploads than there may be', async (t) => {
    const { uploads } = await open(t, { limits: () => ({ perRepository: 5 }) });
    const started = await Promise.allSettled(Array.from({ length: 20 }, () => uploads.start(ALICE)));
    assert.equal(started.filter(({ status }) => status === 'fulfilled').length, 5);
    assert.equal(uploads.count, 5);
  });

  test('at once for one upload never mix their bytes', async (t) => {
    const { uploads, store } = await open(t);
    const id = await uploads.start(ALICE);
    const piece = (letter: string) => bytesOf(letter.repeat(1000));
    await Promise.all(
      ['a', 'b', 'c'].map((each) => append(uploads, id, bodyOf(piece(each), piece(each), piece(each)))),
    );
    const expected = ['a', 'b', 'c'].map((each) => each.repeat(3000)).join('');
    const digest = digestOf(bytesOf(expected));
    await finish(uploads, id, digest);
    assert.equal(await contentOf(store, digest), expected);
  });

  test('one after the end of the upload learns that it is gone', async (t) => {
    const { uploads } = await open(t);
    const id = await uploads.start(ALICE);
    const first = finish(uploads, id, digestOf(Buffer.alloc(0)));
    await assert.rejects(sizeOf(uploads, id), isCode('BLOB_UPLOAD_UNKNOWN'));
    await first;
  });
});
