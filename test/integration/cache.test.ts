import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import fc from 'fast-check';
import { buildImage, type Content, content, noise, platformOf } from '../support/image.ts';
import { download, isIngestEnd, type Mirror, startMirror } from '../support/mirror.ts';
import { startPairOf } from '../support/pair.ts';
import { Workspace } from '../support/processes.ts';
import type { RawResponse } from '../support/raw-request.ts';
import { Gate } from '../support/scripted/faults.ts';
import { type ScriptedUpstream, startScriptedUpstream } from '../support/scripted-upstream.ts';

// Have it, join it or get it: what the cache does, seen from outside, with an upstream that breaks on cue.

const REPOSITORY = 'team/app';
const image = buildImage({ seed: 'cache', layers: [300_000, 40_000] });
const amd64 = platformOf(image, 'amd64');
const layer = amd64.layers[0] as Content;
const MiB = 1024 * 1024;
/** Every tag is asked for each time, and kept for when no upstream answers. */
const ALWAYS_ASK = { tags: { fresh_for: '0s' } };

const front = `/up/v2/${REPOSITORY}`;
const blobPath = (digest: string, repository = REPOSITORY): string => `/up/v2/${repository}/blobs/${digest}`;
const manifestPath = (reference: string, repository = REPOSITORY): string =>
  `/up/v2/${repository}/manifests/${reference}`;

const startPair = (config?: Readonly<Record<string, unknown>>) =>
  startPairOf({ image, repository: REPOSITORY, config });

/** Adds a blob that was not asked for yet. */
function addBlob(upstream: ScriptedUpstream, seed: string, size: number): Content {
  const blob = content('application/octet-stream', noise(seed, size));
  upstream.addBlob(REPOSITORY, blob);
  return blob;
}

/** A client that leaves when it likes: resolves at the first byte of an answer. */
function openAndWait(mirror: Mirror, path: string): Promise<{ leave(): Promise<void> }> {
  return new Promise((resolve, reject) => {
    const [host = '', port] = mirror.host.split(':');
    const socket = connect({ host, port: Number(port) });
    const closed = new Promise<void>((tell) => socket.once('close', () => tell()));
    socket.on('error', reject);
    socket.write(`GET ${path} HTTP/1.1\r\nHost: ${mirror.host}\r\n\r\n`);
    socket.once('data', () =>
      resolve({
        leave: () => {
          socket.destroy();
          return closed;
        },
      }),
    );
  });
}

async function ingestFiles(mirror: Mirror): Promise<string[]> {
  return readdir(join(mirror.dir, 'ingest'));
}

async function storedBlobs(mirror: Mirror): Promise<number> {
  const { cache } = await mirror.app.status();
  return cache === 'off' ? 0 : cache.blobs;
}

/** Undefined where the connection was cut before anything came: a cut takes what was not sent yet with it. */
async function getOrCut(mirror: Mirror, path: string): Promise<RawResponse | undefined> {
  try {
    return await mirror.get(path);
  } catch (error) {
    const isCut = error instanceof SyntaxError || (error as NodeJS.ErrnoException).code === 'ECONNRESET';
    if (!isCut) throw error;
    return undefined;
  }
}

/** Comes again where it was told when, as an upstream that has failed just now is left alone for a moment. */
async function getAsTold(mirror: Mirror, path: string): Promise<RawResponse> {
  const answer = await mirror.get(path);
  const wait = answer.headers['retry-after'];
  if (answer.status !== 503 || wait === undefined) return answer;
  assert.equal(wait, '1');
  await delay(1000);
  return mirror.get(path);
}

function assertNotWhole(answer: RawResponse | undefined, why = 'a complete answer'): void {
  assert.ok(answer === undefined || answer.status >= 500 || (answer.status === 200 && !answer.whole), why);
}

function assertWhole(answer: RawResponse, { bytes }: Content): void {
  assert.equal(answer.status, 200, answer.body.toString('utf8', 0, 300));
  assert.ok(answer.whole && answer.body.equals(bytes));
}

describe('many at once', () => {
  test('fifty cold clients of one blob of 31 MiB: one GET upstream, and every byte is right', async () => {
    await using pair = await startPair();
    const { upstream, mirror } = pair;
    // Too small to be split where the upstream pauses.
    const blob = addBlob(upstream, 'herd', 31 * MiB);
    const gate = new Gate();
    // Half of it waits until everybody has come.
    upstream.fault(blob.digest, { stallAt: 16 * MiB, stallGate: gate });
    const pulls = Array.from({ length: 50 }, () => download(mirror.url + blobPath(blob.digest), blob));
    await mirror.logged((line) => line.msg === 'ingest.joined', { count: 49 });
    gate.open();
    for (const { status, right, whole } of await Promise.all(pulls)) {
      assert.deepEqual([status, right, whole], [200, true, true]);
    }
    assert.equal(upstream.blobBodies(blob.digest).length, 1, upstream.journal());
    assert.equal(upstream.count({ method: 'GET', reference: blob.digest }), 1);
  });

  test('requests for one tag at the same time make one upstream request', async () => {
    await using pair = await startPair();
    const { upstream, mirror } = pair;
    const gate = upstream.hold({ kind: 'manifest', reference: 'latest' });
    const asked = Array.from({ length: 10 }, () => mirror.get(manifestPath('latest')));
    await gate.arrived();
    // Those who come while the question is open are told the same answer.
    const late = mirror.get(manifestPath('latest'));
    gate.open();
    for (const answer of await Promise.all([...asked, late])) assertWhole(answer, image.index);
    assert.equal(upstream.requests.length, 1, upstream.journal());
  });

  test('so do a GET and a HEAD, and many for one digest', async () => {
    await using pair = await startPair({ cache: { tags: 'never' } });
    const { upstream, mirror } = pair;
    const { digest } = amd64.manifest;
    const gate = upstream.hold({ kind: 'manifest', reference: digest });
    const first = mirror.get(manifestPath(digest));
    await gate.arrived();
    const others = Array.from({ length: 10 }, () => mirror.get(manifestPath(digest)));
    // Another registry's or repository's question is another question.
    const elsewhere = mirror.get(manifestPath(digest, 'team/other'));
    await upstream
      .hold({ kind: 'manifest', repository: 'team/other' })
      .arrived()
      .then(() => upstream.heal());
    for (const answer of await Promise.all([first, ...others])) assertWhole(answer, amd64.manifest);
    assert.equal((await elsewhere).status, 404);
    assert.equal(upstream.count({ reference: digest, repository: REPOSITORY }), 1, upstream.journal());
  });

  test('a joiner is told so, and a Range behind what has grown waits for it', async () => {
    await using pair = await startPair();
    const { upstream, mirror } = pair;
    const gate = new Gate();
    upstream.fault(layer.digest, { stallAt: 100_000, stallGate: gate });
    const first = mirror.get(blobPath(layer.digest));
    await gate.arrived();
    const here = await mirror.get(blobPath(layer.digest), { range: 'bytes=1000-1999' });
    assert.deepEqual([here.status, here.headers['x-cache']], [206, 'JOIN']);
    assert.ok(here.body.equals(layer.bytes.subarray(1000, 2000)));
    const ahead = mirror.get(blobPath(layer.digest), { range: 'bytes=200000-' });
    await mirror.logged((line) => line.msg === 'ingest.joined', { count: 2 });
    gate.open();
    assert.ok((await ahead).body.equals(layer.bytes.subarray(200_000)));
    assertWhole(await first, layer);
    assert.equal(upstream.blobBodies(layer.digest).length, 1);
  });
});

describe('an upstream that breaks', () => {
  test('cut at any offset, any number of times: the right bytes, asked for where they ended', async () => {
    await using pair = await startPair();
    const { upstream, mirror } = pair;
    let made = 0;
    const offset = fc.integer({ min: 0, max: 299_999 });
    await fc.assert(
      fc.asyncProperty(fc.uniqueArray(offset, { minLength: 1, maxLength: 3 }), async (cuts) => {
        made += 1;
        const blob = addBlob(upstream, `cut ${made}`, 300_000);
        for (const cutAt of cuts) upstream.fault(blob.digest, { cutAt, times: 1, after: cuts.indexOf(cutAt) });
        const answer = await mirror.get(blobPath(blob.digest));
        assertWhole(answer, blob);
        await mirror.logged(isIngestEnd(blob.digest, 'committed'));
        const warm = await mirror.get(blobPath(blob.digest));
        assert.equal(warm.headers['x-cache'], 'HIT');
        assertWhole(warm, blob);
        upstream.heal();
      }),
      { numRuns: 20 },
    );
    assert.deepEqual(await ingestFiles(mirror), []);
  });

  test('an upstream that ignores Range when it is resumed is read past what is here', async () => {
    await using pair = await startPair();
    const { upstream, mirror } = pair;
    upstream.fault(layer.digest, { cutAt: 123_456, times: 1 });
    upstream.fault(layer.digest, { ignoreRange: true });
    assertWhole(await mirror.get(blobPath(layer.digest)), layer);
  });

  test('one that is cut for good cuts the client, and the next pull is right', async () => {
    await using pair = await startPair();
    const { upstream, mirror } = pair;
    upstream.fault(layer.digest, { cutAt: 123_456, times: 1 });
    const heal = upstream.fault(layer.digest, { reset: true, after: 1 });
    const answer = await mirror.get(blobPath(layer.digest));
    assert.deepEqual([answer.status, answer.whole], [200, false]);
    assert.ok(answer.body.equals(layer.bytes.subarray(0, answer.body.length)), 'what came was right');
    await mirror.logged(isIngestEnd(layer.digest, 'failed'));
    heal();
    assertWhole(await getAsTold(mirror, blobPath(layer.digest)), layer);
  });

  test('a small one that is wrong is an error the client can read, and no cut connection', async () => {
    await using pair = await startPair();
    const { upstream, mirror } = pair;
    const blob = addBlob(upstream, 'small and wrong', 60_000);
    for (const chunked of [false, true]) {
      const heal = upstream.fault(blob.digest, { flipAt: 30_000, chunked });
      // Without a length it is not known to be small.
      if (chunked) assertNotWhole(await getOrCut(mirror, blobPath(blob.digest)), 'complete, with a byte wrong');
      else assert.equal((await mirror.get(blobPath(blob.digest))).status, 502);
      heal();
    }
    assertWhole(await mirror.get(blobPath(blob.digest)), blob);
  });

  test('one wrong bit anywhere: never a complete body, nothing is kept, and the next pull is right', async () => {
    await using pair = await startPair();
    const { upstream, mirror } = pair;
    const stored = await storedBlobs(mirror);
    for (const flipAt of [0, 1, 65_536, 150_000, layer.size - 2, layer.size - 1]) {
      for (const chunked of [false, true]) {
        const heal = upstream.fault(layer.digest, { flipAt, chunked });
        const path = blobPath(layer.digest);
        const answers = await Promise.all([getOrCut(mirror, path), getOrCut(mirror, path)]);
        for (const answer of answers) assertNotWhole(answer, `complete, with byte ${flipAt} wrong`);
        heal();
      }
    }
    assert.equal(await storedBlobs(mirror), stored);
    assert.deepEqual(await ingestFiles(mirror), []);
    assertWhole(await mirror.get(blobPath(layer.digest)), layer);
  });

  test('one that fails before its first byte is answered with what it is, not with an empty connection', async () => {
    await using pair = await startPair();
    const { upstream, mirror } = pair;
    upstream.fault(layer.digest, { cutAfter: 0 });
    const answer = await mirror.get(blobPath(layer.digest));
    assert.equal(answer.status, 503);
    assert.match(answer.body.toString(), /"UNAVAILABLE"/);
    assert.equal(answer.headers['content-range'] ?? answer.headers['etag'], undefined);

    // One byte, and wrong: it is held back until the digest holds.
    await using other = await startPair();
    const blob = addBlob(other.upstream, 'one byte', 1);
    other.upstream.fault(blob.digest, { flipAt: 0 });
    const wrong = await other.mirror.get(blobPath(blob.digest));
    assert.equal(wrong.status, 502);
  });

  for (const [what, fault] of [
    ['ends early as if it were whole', { endAt: 200_000 }],
    ['announces too little', { contentLength: 200_000 }],
    ['announces too much', { contentLength: 400_000 }],
  ] as const) {
    test(`a body that ${what} is never a complete answer`, async () => {
      await using pair = await startPair();
      const { upstream, mirror } = pair;
      upstream.fault(layer.digest, fault);
      assertNotWhole(await getOrCut(mirror, blobPath(layer.digest)));
      upstream.heal();
      assertWhole(await mirror.get(blobPath(layer.digest)), layer);
    });
  }
});

describe('clients that leave', () => {
  test('one of two: the other has it all', async () => {
    await using pair = await startPair();
    const { upstream, mirror } = pair;
    const blob = addBlob(upstream, 'one leaves', 2 * MiB);
    const gate = new Gate();
    upstream.fault(blob.digest, { stallAt: MiB, stallGate: gate });
    const leaving = await openAndWait(mirror, blobPath(blob.digest));
    const staying = mirror.get(blobPath(blob.digest));
    await mirror.logged((line) => line.msg === 'ingest.joined');
    await leaving.leave();
    gate.open();
    assertWhole(await staying, blob);
    assert.equal(upstream.blobBodies(blob.digest).length, 1);
  });

  test('all, with little missing: it goes on, and is here for the next', async () => {
    await using pair = await startPair();
    const { upstream, mirror } = pair;
    const blob = addBlob(upstream, 'little is missing', 2 * MiB);
    const gate = new Gate();
    upstream.fault(blob.digest, { stallAt: MiB, stallGate: gate });
    const leaving = await openAndWait(mirror, blobPath(blob.digest));
    await gate.arrived();
    await leaving.leave();
    await mirror.logged((line) => line.msg === 'request' && line['error'] === 'the client left');
    gate.open();
    await mirror.logged(isIngestEnd(blob.digest, 'committed'));
    const next = await mirror.get(blobPath(blob.digest));
    assert.equal(next.headers['x-cache'], 'HIT');
    assertWhole(next, blob);
  });

  test('all, with much missing: it stops, and leaves nothing', async () => {
    await using pair = await startPair();
    const { upstream, mirror } = pair;
    const blob = addBlob(upstream, 'much is missing', 48 * MiB);
    upstream.fault(blob.digest, { stallAt: MiB });
    const clients = [
      await openAndWait(mirror, blobPath(blob.digest)),
      await openAndWait(mirror, blobPath(blob.digest)),
    ];
    for (const client of clients) await client.leave();
    await mirror.logged(isIngestEnd(blob.digest, 'aborted'));
    assert.deepEqual(await ingestFiles(mirror), []);
    assert.equal(upstream.requests.find(({ reference }) => reference === blob.digest)?.end, 'left');
    upstream.heal();
    const next = await download(mirror.url + blobPath(blob.digest), blob);
    assert.deepEqual([next.right, next.whole, next.cache], [true, true, 'MISS']);
  });
});

describe('tags', () => {
  test('a fresh tag asks no upstream, an old one asks by HEAD, a moved one is fetched', async () => {
    await using pair = await startPair({
      cache: { tags: { fresh_for: '1h', rules: [{ match: 'up/**:latest', fresh_for: '0s' }] } },
    });
    const { upstream, mirror } = pair;
    upstream.library.tag(REPOSITORY, { tag: 'fixed', digest: image.index.digest });
    assert.equal((await mirror.get(manifestPath('fixed'))).headers['x-cache'], 'MISS');
    upstream.forget();
    const hit = await mirror.get(manifestPath('fixed'));
    assert.deepEqual([hit.headers['x-cache'], upstream.requests.length], ['HIT', 0]);
    assert.match(hit.headers['age'] ?? '', /^\d+$/);

    await mirror.get(manifestPath('latest'));
    upstream.forget();
    const same = await mirror.get(manifestPath('latest'));
    assert.equal(same.headers['x-cache'], 'REVALIDATED');
    assert.deepEqual(
      upstream.requests.map(({ method }) => method),
      ['HEAD'],
    );

    upstream.library.tag(REPOSITORY, { tag: 'latest', digest: amd64.manifest.digest });
    upstream.forget();
    const moved = await mirror.get(manifestPath('latest'));
    assert.equal(moved.headers['x-cache'], 'MISS');
    assertWhole(moved, amd64.manifest);
    assert.deepEqual(
      upstream.requests.map(({ method }) => method),
      ['HEAD', 'GET'],
    );
  });

  test('tags: never passes every tag through; what digests name is kept', async () => {
    await using pair = await startPair({ cache: { tags: 'never' } });
    const { upstream, mirror } = pair;
    for (let turn = 0; turn < 3; turn += 1) {
      const answer = await mirror.get(manifestPath('latest'));
      assertWhole(answer, image.index);
      assert.equal(answer.headers['x-cache'], 'PASS');
    }
    assert.equal(upstream.count({ kind: 'manifest', method: 'GET' }), 3, upstream.journal());
    assertWhole(await mirror.get(blobPath(layer.digest)), layer);
    await mirror.logged(isIngestEnd(layer.digest, 'committed'));
    assert.equal((await mirror.get(blobPath(layer.digest))).headers['x-cache'], 'HIT');
    upstream.fault({}, { reset: true });
    assert.equal((await mirror.get(manifestPath('latest'))).status, 503, 'nothing is served from before');
  });

  for (const [what, fault] of [
    ['down', { reset: true }],
    ['failing', { status: 500 }],
    ['throttling', { status: 429, headers: { 'retry-after': '60' } }],
  ] as const) {
    test(`an upstream that is ${what}: what is here, with a Warning`, async () => {
      await using pair = await startPair({ cache: ALWAYS_ASK });
      const { upstream, mirror } = pair;
      await mirror.get(manifestPath('latest'));
      upstream.fault({}, fault);
      const stale = await mirror.get(manifestPath('latest'));
      assertWhole(stale, image.index);
      assert.equal(stale.headers['x-cache'], 'STALE');
      assert.match(stale.headers['warning'] ?? '', /^299 - ".{10,500}"$/);
      assert.match(stale.headers['age'] ?? '', /^\d+$/);
      upstream.heal();
      upstream.forget();
      // It is left in peace for a while.
      assert.equal((await mirror.get(manifestPath('latest'))).headers['x-cache'], 'STALE');
      assert.equal(upstream.requests.length, 0, upstream.journal());
    });
  }

  for (const status of [401, 403, 404]) {
    test(`an upstream that says no with ${status}: what is here is not served`, async () => {
      await using pair = await startPair({ cache: ALWAYS_ASK });
      const { upstream, mirror } = pair;
      await mirror.get(manifestPath('latest'));
      upstream.fault({}, { status });
      assert.equal((await mirror.get(manifestPath('latest'))).status, 404);
    });
  }
});

describe('membership', () => {
  test('a blob that is here is served only for a repository that has it', async () => {
    await using pair = await startPair();
    const { upstream, mirror } = pair;
    upstream.add(buildImage({ seed: 'other', layers: [10] }), 'team/other', ['latest']);
    await mirror.get(manifestPath(amd64.manifest.digest));
    assertWhole(await mirror.get(blobPath(layer.digest)), layer);
    await mirror.logged(isIngestEnd(layer.digest, 'committed'));
    upstream.forget();
    for (const answer of [
      await mirror.get(blobPath(layer.digest, 'team/other')),
      await mirror.head(blobPath(layer.digest, 'team/other')),
      await mirror.get(blobPath(layer.digest, 'team/other'), { range: 'bytes=0-9' }),
      await mirror.get(manifestPath(amd64.manifest.digest, 'team/other')),
      await mirror.get(blobPath(layer.digest, 'team/other'), { 'if-none-match': `"${layer.digest}"` }),
    ]) {
      assert.equal(answer.status, 404);
    }
    assert.ok(upstream.requests.length > 0, 'its upstream was asked');

    // Another repository that has it as well is asked by HEAD, and the bytes come from here.
    upstream.addBlob('team/other', layer);
    upstream.forget();
    const confirmed = await mirror.get(blobPath(layer.digest, 'team/other'));
    assert.equal(confirmed.headers['x-cache'], 'HIT');
    assertWhole(confirmed, layer);
    assert.deepEqual(
      upstream.requests.map(({ method }) => method),
      ['HEAD'],
    );
  });

  test('nor is a running transfer joined through a repository that does not have it', async () => {
    await using pair = await startPair();
    const { upstream, mirror } = pair;
    const gate = new Gate();
    upstream.fault({ kind: 'blob', repository: REPOSITORY }, { stallAt: 100_000, stallGate: gate });
    const running = mirror.get(blobPath(layer.digest));
    await gate.arrived();
    assert.equal((await mirror.get(blobPath(layer.digest, 'team/other'))).status, 404);
    gate.open();
    assertWhole(await running, layer);
  });

  test('with the upstream down, only members are served', async () => {
    await using pair = await startPair();
    const { upstream, mirror } = pair;
    await mirror.get(manifestPath(amd64.manifest.digest));
    await mirror.get(blobPath(layer.digest));
    await mirror.logged(isIngestEnd(layer.digest, 'committed'));
    upstream.fault({}, { reset: true });
    assertWhole(await mirror.get(blobPath(layer.digest)), layer);
    assert.equal((await mirror.get(blobPath(layer.digest, 'team/other'))).status, 503);
  });
});

describe('cache: off', () => {
  test('streams, verifies, joins what is in flight, and keeps nothing', async () => {
    await using pair = await startPair({ cache: 'off' });
    const { upstream, mirror } = pair;
    assertWhole(await mirror.get(manifestPath('latest')), image.index);
    const gate = new Gate();
    const heal = upstream.fault(layer.digest, { stallAt: 100_000, stallGate: gate });
    const pulls = Array.from({ length: 5 }, () => mirror.get(blobPath(layer.digest)));
    await mirror.logged((line) => line.msg === 'ingest.joined', { count: 4 });
    gate.open();
    for (const answer of await Promise.all(pulls)) assertWhole(answer, layer);
    assert.equal(upstream.blobBodies(layer.digest).length, 1);
    heal();
    await mirror.logged(isIngestEnd(layer.digest, 'streamed'));

    assertWhole(await mirror.get(blobPath(layer.digest)), layer);
    assert.equal(upstream.blobBodies(layer.digest).length, 2);
    const before = upstream.count({ kind: 'manifest' });
    assertWhole(await mirror.get(manifestPath('latest')), image.index);
    assert.equal(upstream.count({ kind: 'manifest' }), before + 1);

    // The next pull would join one that is still ending.
    await mirror.logged(isIngestEnd(layer.digest, 'streamed'), { count: 2 });
    upstream.fault(layer.digest, { flipAt: 5 });
    assertNotWhole(await getOrCut(mirror, blobPath(layer.digest)));
    assert.deepEqual(await readdir(mirror.dir), [], 'the directory is not touched');
  });
});

describe('max_size', () => {
  test('what was read longest ago goes, and comes back when it is asked for', async () => {
    await using pair = await startPair({ cache: { max_size: '3MB' } });
    const { upstream, mirror } = pair;
    const blobs = Array.from({ length: 8 }, (_, i) => addBlob(upstream, `evict ${i}`, 600_000));
    for (const blob of blobs) {
      assertWhole(await mirror.get(blobPath(blob.digest)), blob);
      await mirror.logged(isIngestEnd(blob.digest, 'committed'));
    }
    // A sweep follows a commit; the next request finds it done or does not yet.
    for (;;) {
      const { cache } = await mirror.app.status();
      assert.ok(cache !== 'off');
      if (cache.bytes <= 3_000_000) break;
      await new Promise(setImmediate);
    }
    const [oldest, newest] = [blobs[0] as Content, blobs.at(-1) as Content];
    const kept = await mirror.get(blobPath(newest.digest));
    assert.equal(kept.headers['x-cache'], 'HIT');
    const gone = await mirror.get(blobPath(oldest.digest));
    assert.equal(gone.headers['x-cache'], 'MISS');
    assertWhole(gone, oldest);
  });
});

describe('from one start to the next', () => {
  test('what was pulled is served with the upstream down at start, tags with a Warning', async () => {
    await using workspace = await Workspace.open();
    const dir = workspace.path('cache');
    await using upstream = await startScriptedUpstream();
    upstream.add(image, REPOSITORY, ['latest']);
    const config = { registries: { up: { upstreams: [upstream.url] } }, cache: ALWAYS_ASK };
    {
      await using first = await startMirror(config, { dir });
      for (const each of [image.index, amd64.manifest]) assertWhole(await first.get(manifestPath(each.digest)), each);
      assertWhole(await first.get(manifestPath('latest')), image.index);
      for (const each of [amd64.config, ...amd64.layers]) {
        assertWhole(await first.get(blobPath(each.digest)), each);
        await first.logged(isIngestEnd(each.digest, 'committed'));
      }
    }
    await upstream.stop();
    await using second = await startMirror(config, { dir });
    const tag = await second.get(manifestPath('latest'));
    assertWhole(tag, image.index);
    assert.equal(tag.headers['x-cache'], 'STALE');
    for (const each of [image.index, amd64.manifest]) assertWhole(await second.get(manifestPath(each.digest)), each);
    for (const each of [amd64.config, ...amd64.layers]) assertWhole(await second.get(blobPath(each.digest)), each);
    assert.equal((await second.get('/readyz')).status, 200, 'an upstream that is down is no reason to restart');
    assert.equal((await second.get(`${front}/tags/list`)).status, 503);
  });
});
