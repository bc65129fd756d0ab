import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type Ingest,
  PullThrough,
  type PullThroughOptions,
  type Selection,
  type TagRefreshOptions,
} from '../../src/cache/index.ts';
import type { BlobReader } from '../../src/lib/index.ts';
import type { Digest, OriginSource, Reference, Repository } from '../../src/oci/index.ts';
import { MemoryMetadataStore, type MetadataStore, openFilesystemBlobStore } from '../../src/store/index.ts';
import { type Events, Telemetry } from '../../src/telemetry/index.ts';
import { FakeOrigin } from './fake-origin.ts';
import { MemoryBlobStore } from './memory-blob-store.ts';
import { StrictStore } from './strict-store.ts';

export const LIBRARY: Repository = { registry: 'docker.io', repository: 'library/app' };
export const ELSEWHERE: Repository = { registry: 'ghcr.io', repository: 'someone/else' };

/** A pull-through with everything around it under the test's control. */
export interface CacheWorld {
  readonly cache: CacheOfOrigin;
  readonly origin: FakeOrigin;
  readonly store: StrictStore;
  readonly metadata: MetadataStore;
  /** Every event so far, in order. */
  readonly events: readonly SeenEvent[];
  /** Those of one kind. */
  seen<K extends keyof Events>(kind: K): readonly Events[K][];
  /** Resolves at the next event of a kind. */
  next<K extends keyof Events>(kind: K): Promise<Events[K]>;
  /** The transfer that runs; throws where there is not exactly one. */
  running(): Ingest;
  /** Names in the store's ingest/; always empty for a store in memory. */
  leftOvers(): Promise<readonly string[]>;
}

interface SeenEvent {
  readonly kind: keyof Events;
  readonly event: unknown;
}

const KINDS = [
  'ingest.started',
  'ingest.joined',
  'ingest.resumed',
  'ingest.continued',
  'ingest.finished',
  'range.passed',
  'cache.decision',
  'cache.swept',
  'cache.paused',
  'cache.resumed',
  'blob.rotten',
  'blob.adopted',
  'blob.oversized',
  'warning',
] as const satisfies readonly (keyof Events)[];

/** Where a clean-up is registered: a test, or a run of a property. */
export interface Scope {
  after(cleanUp: () => Promise<void>): void;
}

export interface WorldOptions extends Partial<PullThroughOptions> {
  /** Where blobs rest. @default 'memory' */
  readonly on?: 'memory' | 'filesystem';
}

/**
 * Makes a world, and when the test is over sees to it that nothing was left behind: no file open, none half-written, no
 * transfer, and no unhandled rejection.
 */
export async function cacheWorld(t: Scope, options: WorldOptions = {}): Promise<CacheWorld> {
  const { on = 'memory', store: given, metadata: givenMetadata, ...rest } = options;
  const directory = on === 'filesystem' ? await mkdtemp(join(tmpdir(), 'entrepot-cache-')) : undefined;
  const inner = given ?? (directory === undefined ? new MemoryBlobStore() : await openFilesystemBlobStore(directory));
  const store = new StrictStore(inner);
  const origin = new FakeOrigin();
  const metadata = givenMetadata ?? new MemoryMetadataStore();
  const telemetry = new Telemetry();
  const events: SeenEvent[] = [];
  for (const kind of KINDS) telemetry.on(kind, (event) => events.push({ kind, event }));
  const rejections: unknown[] = [];
  const reject = (reason: unknown): void => void rejections.push(reason);
  process.on('unhandledRejection', reject);

  const cache = new CacheOfOrigin({ store, metadata, telemetry, keep: true, ...rest }, origin.source);
  const leftOvers = async (): Promise<readonly string[]> =>
    directory === undefined ? [] : readdir(join(directory, 'ingest'));

  t.after(async () => {
    await cache.close();
    // A rejection is reported, and a descriptor closed, a turn or two later.
    for (let turn = 0; turn < 20 && store.opened > 0; turn += 1) await new Promise(setImmediate);
    await new Promise(setImmediate);
    const left = await leftOvers();
    process.off('unhandledRejection', reject);
    if (directory !== undefined) await rm(directory, { recursive: true, force: true });
    assert.deepEqual(rejections, [], 'unhandled rejections');
    assert.deepEqual(store.faults, [], 'files misused');
    assert.equal(store.opened, 0, 'files left open');
    assert.deepEqual(left, [], 'files left half-written');
    assert.deepEqual([...cache.transfers], [], 'transfers left running');
  });

  return {
    cache,
    origin,
    store,
    metadata,
    events,
    seen: <K extends keyof Events>(kind: K) =>
      events.filter((each) => each.kind === kind).map((each) => each.event as Events[K]),
    next: (kind) =>
      new Promise((resolve) => {
        const stop = telemetry.on(kind, (event) => {
          stop();
          resolve(event);
        });
      }),
    running: () => {
      const [ingest, ...others] = cache.transfers;
      assert.ok(ingest !== undefined && others.length === 0, 'not exactly one transfer runs');
      return ingest;
    },
    leftOvers,
  };
}

type Asked<Method extends 'manifest' | 'blob'> = Parameters<PullThrough[Method]>[2];
/** A request without its origin, or with another one. */
type RequestOf<Method extends 'manifest' | 'blob'> = Omit<Asked<Method>, 'origin'> & Partial<Asked<Method>>;

/** A cache whose requests bring the same origin unless they name another. */
export class CacheOfOrigin extends PullThrough {
  readonly #origin: OriginSource;

  constructor(options: PullThroughOptions, origin: OriginSource) {
    super(options);
    this.#origin = origin;
  }

  override manifest(repository: Repository, reference: Reference, request: RequestOf<'manifest'>) {
    return super.manifest(repository, reference, { origin: this.#origin, ...request });
  }

  override blob(repository: Repository, digest: Digest, request: RequestOf<'blob'>) {
    return super.blob(repository, digest, { origin: this.#origin, ...request });
  }

  override headBlob(repository: Repository, digest: Digest, request: RequestOf<'blob'>) {
    return super.headBlob(repository, digest, { origin: this.#origin, ...request });
  }

  override refresh(selections: readonly Selection[], options: Partial<TagRefreshOptions> = {}) {
    return super.refresh(selections, { originFor: () => this.#origin, ...options });
  }
}

/** Reads a body to its end and closes the reader. */
export async function drain(reader: BlobReader, targetSize = 16 * 1024): Promise<Buffer> {
  const { bytes, error } = await readUntilItEnds(reader, targetSize);
  if (error !== undefined) throw error;
  return bytes;
}

/** Reads to the end, or to where it breaks off: what came, and why there was no more. */
export async function readUntilItEnds(
  reader: BlobReader,
  targetSize = 16 * 1024,
): Promise<{ readonly bytes: Buffer; readonly error: Error | undefined }> {
  const parts: Buffer[] = [];
  const target = Buffer.alloc(targetSize);
  try {
    for (;;) {
      const count = await reader.read(target);
      if (count === 0) return { bytes: Buffer.concat(parts), error: undefined };
      parts.push(Buffer.from(target.subarray(0, count)));
    }
  } catch (error) {
    return { bytes: Buffer.concat(parts), error: error as Error };
  } finally {
    reader.close();
  }
}

/** Reads exactly so many bytes, and leaves the reader open. */
export async function readSome(reader: BlobReader, count: number): Promise<Buffer> {
  const bytes = Buffer.alloc(count);
  for (let filled = 0; filled < count; ) {
    const read = await reader.read(bytes.subarray(filled));
    assert.notEqual(read, 0, `the body ended after ${filled} of ${count} bytes`);
    filled += read;
  }
  return bytes;
}

/** Lets everything that can go on without being asked do so. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 5; turn += 1) await new Promise(setImmediate);
}
