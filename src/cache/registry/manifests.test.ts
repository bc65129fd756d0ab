import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import {
  type CacheWorld,
  cacheWorld,
  drain,
  ELSEWHERE,
  LIBRARY,
  settle,
  type WorldOptions,
} from '../../../test/support/cache-world.ts';
import { FakeFailure, Gate } from '../../../test/support/fake-origin.ts';
import { buildImage, content, platformOf } from '../../../test/support/image.ts';
import { MemoryBlobStore } from '../../../test/support/memory-blob-store.ts';
import { diskFull } from '../../../test/support/strict-store.ts';
import { type Digest, MEDIA_TYPES, type Reference } from '../../oci/index.ts';
import { MemoryMetadataStore } from '../../store/index.ts';

const OLD = buildImage({ seed: 'old', layers: [1000] });
const NEW = buildImage({ seed: 'new', layers: [1000] });
const LATEST: Reference = { kind: 'tag', tag: 'latest' };
const FRESH_FOR = 60_000;

function byDigest(digest: Digest): Reference {
  return { kind: 'digest', digest };
}

interface ClockedWorld extends CacheWorld {
  readonly clock: { now: number };
  /** Lets the tag point to the new image from now on. */
  move(): void;
  /** Lets what is known of tags get old. */
  age(): void;
}

/** A world with OLD under `latest`, and a clock that stands still. */
async function tagWorld(t: TestContext, options: WorldOptions = {}): Promise<ClockedWorld> {
  const clock = { now: 1_700_000_000_000 };
  const world = await cacheWorld(t, { tags: { freshFor: FRESH_FOR }, now: () => clock.now, ...options });
  const add = (image: typeof OLD): void => {
    for (const manifest of image.manifests) world.origin.addManifest(LIBRARY, manifest);
    world.origin.addManifest(LIBRARY, image.index, 'latest');
    world.origin.addBlobs(LIBRARY, ...image.blobs);
  };
  add(OLD);
  return {
    ...world,
    clock,
    move: () => add(NEW),
    age: () => {
      clock.now += FRESH_FOR;
    },
  };
}

const pull = (world: CacheWorld, reference: Reference = LATEST) => world.cache.manifest(LIBRARY, reference, {});
const head = (world: CacheWorld, reference: Reference = LATEST) =>
  world.cache.manifest(LIBRARY, reference, { head: true });

describe('a tag', () => {
  test('is fetched once, with its exact bytes and type, and not asked for while fresh', async (t) => {
    const world = await tagWorld(t);
    const cold = await pull(world);
    assert.deepEqual(
      [cold.outcome, cold.digest, cold.mediaType, cold.size, cold.checkedAt, cold.upstream, cold.warning],
      [
        'MISS',
        OLD.index.digest,
        OLD.index.mediaType,
        OLD.index.size,
        world.clock.now,
        'upstream of docker.io',
        undefined,
      ],
    );
    assert.ok(cold.bytes?.equals(OLD.index.bytes));
    const checkedAt = world.clock.now;
    world.clock.now += FRESH_FOR - 1;
    world.move();
    for (const answer of [await pull(world), await head(world)]) {
      assert.deepEqual(
        [answer.outcome, answer.digest, answer.mediaType, answer.size, answer.checkedAt, answer.upstream],
        ['HIT', OLD.index.digest, OLD.index.mediaType, OLD.index.size, checkedAt, undefined],
      );
    }
    assert.deepEqual(world.origin.methods(), ['getManifest']);
  });

  test('that is stale and has not moved costs one HEAD', async (t) => {
    const world = await tagWorld(t);
    await pull(world);
    world.age();
    const again = await pull(world);
    assert.deepEqual([again.outcome, again.checkedAt], ['REVALIDATED', world.clock.now]);
    assert.ok(again.bytes?.equals(OLD.index.bytes));
    assert.equal((await pull(world)).outcome, 'HIT');
    assert.deepEqual(world.origin.methods(), ['getManifest', 'headManifest']);
  });

  test('that is stale and has moved gives the new bytes', async (t) => {
    const world = await tagWorld(t);
    await pull(world);
    world.age();
    world.move();
    const moved = await pull(world);
    assert.deepEqual([moved.outcome, moved.digest], ['MISS', NEW.index.digest]);
    assert.ok(moved.bytes?.equals(NEW.index.bytes));
    assert.deepEqual(world.origin.methods(), ['getManifest', 'headManifest', 'getManifest']);
    assert.equal(world.origin.calls.at(-1)?.what, NEW.index.digest);
  });

  test('is asked for again where the clock was set back', async (t) => {
    const world = await tagWorld(t);
    await pull(world);
    world.clock.now -= 1;
    assert.equal((await pull(world)).outcome, 'REVALIDATED');
  });

  for (const first of ['GET', 'HEAD'] as const) {
    test(`is asked for once by twenty at once, ${first} first`, async (t) => {
      const world = await tagWorld(t);
      const gate = new Gate();
      world.origin.before = () => gate.pass();
      const isHead = (i: number): boolean => i % 2 === (first === 'HEAD' ? 0 : 1);
      const asked = Array.from({ length: 20 }, (_, i) => (isHead(i) ? head(world) : pull(world)));
      await gate.reached;
      await settle();
      assert.equal(world.origin.count(), 1);
      gate.open();
      for (const answer of await Promise.all(asked)) {
        assert.equal(answer.digest, OLD.index.digest);
        assert.ok(answer.bytes === undefined || answer.bytes.equals(OLD.index.bytes));
      }
      // Who needs the bytes gets them once, by digest, where the first one only wanted the head.
      assert.deepEqual(world.origin.methods(), first === 'GET' ? ['getManifest'] : ['headManifest', 'getManifest']);
      assert.equal(world.origin.calls.at(-1)?.what, first === 'GET' ? 'latest' : OLD.index.digest);
    });
  }

  test('is revalidated once by twenty at once', async (t) => {
    const world = await tagWorld(t);
    await pull(world);
    world.age();
    const answers = await Promise.all(Array.from({ length: 20 }, (_, i) => (i % 3 === 0 ? head(world) : pull(world))));
    assert.ok(answers.every(({ digest }) => digest === OLD.index.digest));
    assert.deepEqual(world.origin.methods(), ['getManifest', 'headManifest']);
  });

  test('whose head was asked for costs a GET by digest, which agrees', async (t) => {
    const world = await tagWorld(t);
    const first = await head(world);
    world.move();
    const then = await pull(world);
    assert.equal(then.digest, first.digest);
    assert.ok(then.bytes?.equals(OLD.index.bytes));
    assert.deepEqual(
      world.origin.calls.map(({ method, what }) => [method, what]),
      [
        ['headManifest', 'latest'],
        ['getManifest', OLD.index.digest],
      ],
    );
  });

  for (const kind of ['not-found', 'invalid'] as const) {
    test(`whose HEAD named a digest that is ${kind} is what its GET says, then and afterwards`, async (t) => {
      const world = await tagWorld(t);
      const named = await head(world);
      world.move();
      world.origin.before = ({ what }) => {
        if (what === OLD.index.digest) throw new FakeFailure(kind);
      };
      assert.equal(named.digest, OLD.index.digest);
      assert.equal((await head(world)).digest, OLD.index.digest, 'as fresh as any record');
      for (let i = 0; i < 2; i += 1) {
        assert.deepEqual((await pull(world)).bytes, NEW.index.bytes);
        assert.equal((await head(world)).digest, NEW.index.digest);
      }
      assert.deepEqual(
        world.origin.calls.map(({ method, what }) => [method, what]),
        [
          ['headManifest', 'latest'],
          ['getManifest', OLD.index.digest],
          ['getManifest', 'latest'],
        ],
      );
    });
  }

  test('whose HEAD names a wrong digest again and again can be pulled all the same, fresh or not', async (t) => {
    const world = await tagWorld(t);
    await head(world);
    world.move();
    const headManifest = world.origin.headManifest.bind(world.origin);
    world.origin.headManifest = async (...args) => ({ ...(await headManifest(...args)), digest: OLD.index.digest });
    world.origin.before = ({ what }) => {
      if (what === OLD.index.digest) throw new FakeFailure('not-found');
    };
    for (let i = 0; i < 3; i += 1) {
      world.age();
      assert.equal((await pull(world)).digest, NEW.index.digest);
    }
  });

  test('is resolved for the others when the one who asked first leaves', async (t) => {
    const world = await tagWorld(t);
    const gate = new Gate();
    world.origin.before = () => gate.pass();
    const leaving = new AbortController();
    const first = world.cache.manifest(LIBRARY, LATEST, { signal: leaving.signal });
    await gate.reached;
    const second = pull(world);
    leaving.abort(new Error('gone'));
    await assert.rejects(first, /gone/);
    gate.open();
    assert.ok((await second).bytes?.equals(OLD.index.bytes));
    assert.equal(world.origin.count(), 1);
  });
});

describe('a tag whose upstream does not answer', () => {
  for (const kind of ['unavailable', 'throttled'] as const) {
    test(`is stale where that is ${kind}, and says so to everyone`, async (t) => {
      const world = await tagWorld(t);
      await pull(world);
      const checkedAt = world.clock.now;
      world.age();
      const gate = new Gate();
      world.origin.before = async () => {
        await gate.pass();
        throw new FakeFailure(kind);
      };
      const asked = [pull(world), pull(world), head(world)];
      await gate.reached;
      await settle();
      gate.open();
      for (const answer of await Promise.all(asked)) {
        assert.deepEqual([answer.outcome, answer.digest, answer.checkedAt], ['STALE', OLD.index.digest, checkedAt]);
        assert.match(String(answer.warning), new RegExp(`${kind}; serving what upstream of docker.io said before`));
      }
      assert.equal(world.origin.count(), 2);
      world.origin.before = () => {};
      // It is left in peace for a while, and asked again then.
      assert.equal((await pull(world)).outcome, 'STALE');
      assert.equal(world.origin.count(), 2);
      world.clock.now += 5000;
      const after = await pull(world);
      assert.deepEqual([after.outcome, after.warning], ['REVALIDATED', undefined]);
    });

    test(`fails where that is ${kind} and nothing is here`, async (t) => {
      const world = await tagWorld(t);
      world.origin.before = () => {
        throw new FakeFailure(kind);
      };
      await assert.rejects(pull(world), { kind });
      await assert.rejects(head(world), { kind });
    });
  }

  for (const kind of ['denied', 'not-found', 'invalid'] as const) {
    test(`is never stale where the answer was ${kind}`, async (t) => {
      const world = await tagWorld(t);
      await pull(world);
      world.age();
      world.origin.before = () => {
        throw new FakeFailure(kind);
      };
      await assert.rejects(pull(world), { kind });
      await assert.rejects(head(world), { kind });
    });
  }

  test('stays the old one while the bytes of the new one cannot be had', async (t) => {
    const world = await tagWorld(t);
    await pull(world);
    world.age();
    world.move();
    world.origin.before = ({ method }) => {
      if (method === 'getManifest') throw new FakeFailure('unavailable');
    };
    for (let i = 0; i < 2; i += 1) {
      const answer = await pull(world);
      assert.deepEqual([answer.outcome, answer.digest], ['STALE', OLD.index.digest]);
      assert.ok(answer.bytes?.equals(OLD.index.bytes));
    }
    world.origin.before = () => {};
    world.clock.now += 5000;
    assert.equal((await pull(world)).digest, NEW.index.digest);
  });
});

describe('tags: never', () => {
  test('asks every time, keeps none, and still asks once for all who ask at once', async (t) => {
    const world = await tagWorld(t, { tags: 'never' });
    assert.equal((await pull(world)).outcome, 'PASS');
    assert.equal((await pull(world)).outcome, 'PASS');
    assert.equal((await head(world)).outcome, 'PASS');
    assert.deepEqual(world.origin.methods(), ['getManifest', 'getManifest', 'headManifest']);
    await Promise.all(Array.from({ length: 20 }, () => pull(world)));
    assert.equal(world.origin.count(), 4);
    assert.ok((await pull(world, byDigest(OLD.index.digest))).bytes?.equals(OLD.index.bytes));
    assert.deepEqual(await world.cache.totals(), { blobs: 0, bytes: 0 });
    assert.equal(await world.store.stat(OLD.index.digest), undefined);
    world.origin.before = () => {
      throw new FakeFailure('unavailable');
    };
    await assert.rejects(pull(world), { kind: 'unavailable' });
  });

  test('still keeps blobs, and takes them for members of their image', async (t) => {
    const world = await tagWorld(t, { tags: 'never' });
    const { manifest, layers } = platformOf(OLD, 'amd64');
    const layer = layers[0] as (typeof layers)[0];
    await pull(world, byDigest(manifest.digest));
    for (let i = 0; i < 2; i += 1) {
      const { reader } = await world.cache.blob(LIBRARY, layer.digest, {});
      assert.ok((await drain(reader)).equals(layer.bytes));
      await settle();
    }
    assert.deepEqual(world.origin.methods(), ['getManifest', 'openBlob']);
  });
});

describe('a manifest by digest', () => {
  test('is fetched once, however many ask at once, and holds for ever', async (t) => {
    const world = await tagWorld(t);
    const reference = byDigest(OLD.index.digest);
    const answers = await Promise.all(Array.from({ length: 20 }, () => pull(world, reference)));
    assert.ok(answers.every(({ bytes }) => bytes?.equals(OLD.index.bytes)));
    assert.equal(answers.filter(({ outcome }) => outcome === 'MISS').length, 1);
    world.clock.now += 1e12;
    assert.equal((await pull(world, reference)).outcome, 'HIT');
    assert.equal((await head(world, reference)).outcome, 'HIT');
    assert.equal(world.origin.count(), 1);
  });

  test('is asked of the upstream of another repository, and refused where that refuses', async (t) => {
    const world = await tagWorld(t);
    const reference = byDigest(OLD.index.digest);
    await pull(world, reference);
    for (const isHead of [true, false]) {
      await assert.rejects(world.cache.manifest(ELSEWHERE, reference, { head: isHead }), { kind: 'not-found' });
    }
    world.origin.addManifest(ELSEWHERE, OLD.index);
    world.clock.now += 10_000;
    assert.equal((await world.cache.manifest(ELSEWHERE, reference, {})).outcome, 'MISS');
    assert.equal((await world.cache.manifest(ELSEWHERE, reference, {})).outcome, 'HIT');
  });

  test('is refused to another repository also while it is being fetched', async (t) => {
    const world = await tagWorld(t);
    const reference = byDigest(OLD.index.digest);
    const gate = new Gate();
    world.origin.before = ({ repository }) => (repository === LIBRARY ? gate.pass() : undefined);
    const asked = pull(world, reference);
    await gate.reached;
    await assert.rejects(world.cache.manifest(ELSEWHERE, reference, {}), { kind: 'not-found' });
    gate.open();
    await asked;
  });

  test('makes what it names members: its blobs are served without a question', async (t) => {
    const world = await tagWorld(t);
    const { manifest, layers, config } = platformOf(OLD, 'amd64');
    for (const blob of [...layers, config]) {
      const finished = world.next('ingest.finished');
      await drain((await world.cache.blob(LIBRARY, blob.digest, {})).reader);
      await finished;
    }
    world.origin.addManifest(ELSEWHERE, manifest);
    const asked = world.origin.count();
    await world.cache.manifest(ELSEWHERE, byDigest(manifest.digest), {});
    for (const blob of [...layers, config]) {
      const { reader, outcome } = await world.cache.blob(ELSEWHERE, blob.digest, {});
      assert.equal(outcome, 'HIT');
      assert.ok((await drain(reader)).equals(blob.bytes));
    }
    assert.deepEqual(world.origin.methods(asked), ['getManifest']);
  });

  test('makes what it names members also where its bytes were here and only an index names it', async (t) => {
    const world = await tagWorld(t);
    const { manifest, layers, config } = platformOf(OLD, 'amd64');
    await world.cache.manifest(LIBRARY, byDigest(manifest.digest), {});
    for (const blob of [...layers, config]) {
      const finished = world.next('ingest.finished');
      await drain((await world.cache.blob(LIBRARY, blob.digest, {})).reader);
      await finished;
    }
    world.origin.addManifest(ELSEWHERE, OLD.index, 'latest');
    await world.cache.manifest(ELSEWHERE, LATEST, {});
    const asked = world.origin.count();
    assert.equal((await world.cache.manifest(ELSEWHERE, byDigest(manifest.digest), {})).outcome, 'HIT');
    for (const blob of [...layers, config]) {
      const { reader, outcome } = await world.cache.blob(ELSEWHERE, blob.digest, {});
      assert.equal(outcome, 'HIT');
      reader.close();
    }
    assert.deepEqual(world.origin.methods(asked), []);
  });

  test('that an index takes for something else than it is, is refused though its bytes are here', async (t) => {
    const world = await tagWorld(t);
    const { manifest, layers } = platformOf(OLD, 'amd64');
    const layer = layers[0] as (typeof layers)[0];
    await world.cache.manifest(LIBRARY, byDigest(manifest.digest), {});
    const finished = world.next('ingest.finished');
    await drain((await world.cache.blob(LIBRARY, layer.digest, {})).reader);
    await finished;
    const children = [
      { mediaType: MEDIA_TYPES.ociIndex, digest: manifest.digest, size: manifest.size },
      { mediaType: MEDIA_TYPES.ociManifest, digest: layer.digest, size: layer.size },
    ];
    const index = { schemaVersion: 2, mediaType: MEDIA_TYPES.ociIndex, manifests: children };
    world.origin.addManifest(ELSEWHERE, content(MEDIA_TYPES.ociIndex, Buffer.from(JSON.stringify(index))), 'latest');
    await world.cache.manifest(ELSEWHERE, LATEST, {});
    for (const { digest } of children) {
      await assert.rejects(world.cache.manifest(ELSEWHERE, byDigest(digest), {}), { name: 'OciError', status: 502 });
    }
  });

  for (const [what, said] of [
    ['nothing of', {}],
    ['what cannot stand in a header of', { mediaType: 'application/x\r\nset-cookie: a=b' }],
  ] as const) {
    test(`has the type it came with where an index says ${what} its type`, async (t) => {
      const world = await tagWorld(t);
      const { manifest } = platformOf(OLD, 'amd64');
      await world.cache.manifest(LIBRARY, byDigest(manifest.digest), {});
      const children = [{ ...said, digest: manifest.digest, size: manifest.size }];
      const index = { schemaVersion: 2, mediaType: MEDIA_TYPES.ociIndex, manifests: children };
      world.origin.addManifest(ELSEWHERE, content(MEDIA_TYPES.ociIndex, Buffer.from(JSON.stringify(index))), 'latest');
      world.origin.addManifest(ELSEWHERE, manifest);
      await world.cache.manifest(ELSEWHERE, LATEST, {});
      const answer = await world.cache.manifest(ELSEWHERE, byDigest(manifest.digest), {});
      assert.equal(answer.mediaType, manifest.mediaType);
      assert.deepEqual(answer.bytes, manifest.bytes);
    });
  }

  test('makes what it names members also where its bytes were here and a tag moves to it', async (t) => {
    const world = await tagWorld(t);
    const { manifest, layers } = platformOf(OLD, 'amd64');
    const layer = layers[0] as (typeof layers)[0];
    const finished = world.next('ingest.finished');
    await drain((await world.cache.blob(LIBRARY, layer.digest, {})).reader);
    await finished;
    await pull(world, byDigest(manifest.digest));
    world.origin.addManifest(ELSEWHERE, platformOf(NEW, 'amd64').manifest, 'latest');
    await world.cache.manifest(ELSEWHERE, LATEST, {});
    world.origin.addManifest(ELSEWHERE, manifest, 'latest');
    world.age();
    const asked = world.origin.count();
    assert.equal((await world.cache.manifest(ELSEWHERE, LATEST, {})).digest, manifest.digest);
    const { reader } = await world.cache.blob(ELSEWHERE, layer.digest, {});
    assert.ok((await drain(reader)).equals(layer.bytes));
    assert.deepEqual(world.origin.methods(asked), ['headManifest']);
  });
});

describe('a stored manifest', () => {
  for (const [how, rot] of [
    ['flipped', (bytes: Buffer) => Buffer.concat([Buffer.from('['), bytes.subarray(1)])],
    ['cut short', (bytes: Buffer) => bytes.subarray(0, 10)],
    ['empty', () => Buffer.alloc(0)],
  ] as const) {
    test(`that was ${how} on the disk is taken aside and fetched again`, async (t) => {
      const store = new MemoryBlobStore();
      // Nothing is remembered, so that each pull reads the disk.
      const world = await tagWorld(t, { store, manifestsInMemory: 0 });
      await pull(world);
      store.plant(OLD.index.digest, rot(OLD.index.bytes));
      const healed = await pull(world);
      assert.ok(healed.bytes?.equals(OLD.index.bytes));
      assert.deepEqual(store.quarantined(OLD.index.digest), rot(OLD.index.bytes));
      assert.deepEqual(world.origin.methods(), ['getManifest', 'getManifest']);
      assert.ok((await pull(world)).bytes?.equals(OLD.index.bytes));
      assert.equal(world.origin.count(), 2);
      assert.equal(world.seen('blob.rotten')[0]?.digest, OLD.index.digest);
      assert.deepEqual(await world.cache.totals(), { blobs: 1, bytes: OLD.index.size });
    });
  }

  test('is found again after a start', async (t) => {
    const shared = { store: new MemoryBlobStore(), metadata: new MemoryMetadataStore() };
    const before = await tagWorld(t, shared);
    await pull(before);
    const after = await tagWorld(t, shared);
    const answer = await pull(after);
    assert.equal(answer.outcome, 'HIT');
    assert.ok(answer.bytes?.equals(OLD.index.bytes));
    assert.equal(after.origin.count(), 0);
  });

  test('is read from memory by others, and counts as read', async (t) => {
    const world = await tagWorld(t);
    await pull(world);
    const read: Digest[] = [];
    const touch = world.metadata.touchBlobs.bind(world.metadata);
    world.metadata.touchBlobs = (reads) => {
      read.push(...reads.map(({ digest }) => digest));
      return touch(reads);
    };
    await pull(world);
    await world.cache.close();
    assert.deepEqual(read, [OLD.index.digest]);
  });

  for (const step of ['begin', 'write', 'commit', 'stat'] as const) {
    test(`that the disk refuses at ${step} costs the next pull, not this one`, async (t) => {
      const world = await tagWorld(t, { manifestsInMemory: 0 });
      world.store.before = (taken) => {
        if (taken === step) throw diskFull();
      };
      assert.ok((await pull(world)).bytes?.equals(OLD.index.bytes));
      assert.ok((await pull(world)).bytes?.equals(OLD.index.bytes));
      assert.equal((await head(world)).digest, OLD.index.digest);
      assert.equal(world.store.opened, 0);
      assert.ok(world.seen('warning').length > 0);
    });
  }

  describe('served from memory is put back where the disk', () => {
    async function assertPutBack(world: ClockedWorld): Promise<void> {
      assert.equal(await world.store.stat(OLD.index.digest), undefined);
      assert.ok((await pull(world)).bytes?.equals(OLD.index.bytes));
      assert.equal(world.origin.count('getManifest'), 1, 'its bytes are here');
      assert.equal(await world.store.stat(OLD.index.digest), OLD.index.size);
      assert.deepEqual(await world.cache.totals(), { blobs: 1, bytes: OLD.index.size });
      const begun = world.store.begun;
      await pull(world);
      assert.equal(world.store.begun, begun, 'once');
    }

    test('has evicted it, so that its fresh tag spares it and what it leads to', async (t) => {
      const world = await tagWorld(t);
      await pull(world);
      world.age();
      assert.equal((await world.cache.collect({ maxSize: 0 })).blobs, 1);
      await assertPutBack(world);
      assert.equal((await world.cache.collect({ maxSize: 0 })).blobs, 0);
    });

    test('would only have evicted it: nothing is written', async (t) => {
      const world = await tagWorld(t);
      await pull(world);
      world.age();
      assert.equal((await world.cache.collect({ maxSize: 0, dryRun: true })).blobs, 1);
      const begun = world.store.begun;
      await pull(world);
      assert.equal(world.store.begun, begun);
    });

    test('had no room for it', async (t) => {
      const world = await tagWorld(t, { maxSize: 10 });
      await pull(world);
      world.cache.reconfigure({ keep: true, tags: { freshFor: FRESH_FOR } });
      await assertPutBack(world);
    });

    test('has let it rot', async (t) => {
      const disk = new MemoryBlobStore();
      const world = await tagWorld(t, { store: disk });
      await pull(world);
      disk.plant(OLD.index.digest, Buffer.alloc(OLD.index.size));
      assert.equal((await world.cache.scrub.run()).rotten, 1);
      await assertPutBack(world);
    });
  });

  test('and its tag are served though the name store fails at every call', async (t) => {
    const broken = new Proxy(new MemoryMetadataStore(), {
      get: (target, key) =>
        key === 'close' || typeof Reflect.get(target, key) !== 'function'
          ? Reflect.get(target, key)
          : () => Promise.reject(new Error('database disk image is malformed')),
    });
    const world = await tagWorld(t, { metadata: broken, maxSize: 10 });
    for (let i = 0; i < 2; i += 1) {
      assert.ok((await pull(world)).bytes?.equals(OLD.index.bytes));
      assert.equal((await head(world)).digest, OLD.index.digest);
      assert.ok((await pull(world, byDigest(OLD.index.digest))).bytes?.equals(OLD.index.bytes));
      world.age();
    }
    assert.ok(world.seen('warning').length > 0);
  });
});

describe('a manifest that is two things at once', () => {
  const both = content(
    MEDIA_TYPES.ociIndex,
    Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: MEDIA_TYPES.ociIndex, manifests: [], layers: [] })),
  );
  const typed = { ...OLD.index, mediaType: MEDIA_TYPES.ociManifest };
  for (const [name, manifest] of [
    ['by its fields', both],
    ['by its type', typed],
    ['and no JSON at all', content(MEDIA_TYPES.ociManifest, Buffer.from('<html>'))],
  ] as const) {
    for (const tags of ['kept', 'never'] as const) {
      test(`${name} is the upstream's fault and not stored, tags ${tags}`, async (t) => {
        const world = await cacheWorld(t, tags === 'never' ? { tags } : {});
        world.origin.addManifest(LIBRARY, manifest, 'latest');
        await assert.rejects(pull(world), { name: 'OciError', status: 502 });
        await assert.rejects(pull(world, byDigest(manifest.digest)), { name: 'OciError', status: 502 });
        assert.deepEqual(await world.cache.totals(), { blobs: 0, bytes: 0 });
        assert.equal(await world.store.stat(manifest.digest), undefined);
      });
    }
  }
});
