import assert from 'node:assert/strict';
import { createHash, randomInt } from 'node:crypto';
import { createReadStream, globSync, readFileSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { get } from 'node:http';
import { basename, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { after, before, describe, test } from 'node:test';
import { type RunningEntrepot, startEntrepot } from '../support/app.ts';
import { buildImage, type Content, content, noise, platformOf } from '../support/image.ts';
import { Workspace } from '../support/processes.ts';
import { eventually } from '../support/pull-stage.ts';
import { rawRequest } from '../support/raw-request.ts';
import { Gate } from '../support/scripted/faults.ts';
import { type ScriptedUpstream, startScriptedUpstream } from '../support/scripted-upstream.ts';

// The process is killed (SIGKILL: no handler, no flush) while blobs come in; the next one must find nothing wrong, leave
// nothing behind, and complete the pull. How soon it is ready is judged where machines are quiet: `npm run test:faults`.

const REPOSITORY = 'team/app';
/** Few, as each starts a server, and the fault suite does forty with ten thousand blobs beside; `TEST_ROUNDS=…` does more. */
const ROUNDS = Number(process.env['TEST_ROUNDS'] ?? 8);

/** Every place in src/store where a process can be told to die. */
const CRASH_POINTS = [
  'ingest.created',
  'ingest.written',
  'commit.synced',
  'commit.sharded',
  'commit.renamed',
  'commit.flushed',
  'commit.indexed',
];

let workspace: Workspace;
let upstream: ScriptedUpstream;
before(async () => {
  workspace = await Workspace.open();
  upstream = await startScriptedUpstream({ personality: 'dockerHub' });
  workspace.defer(() => upstream.stop());
});
after(() => workspace.close());

/** Starts on a directory, and notes how long it took. */
async function start(dir: string, crashAt?: string): Promise<{ entrepot: RunningEntrepot; readyAfter: number }> {
  const { ENTREPOT_CRASH_AT: _point, ...env } = process.env;
  const began = performance.now();
  const entrepot = await startEntrepot(
    workspace,
    { registries: { up: { upstreams: [upstream.url] } } },
    { dir, env: crashAt === undefined ? env : { ...env, ENTREPOT_CRASH_AT: crashAt } },
  );
  assert.equal((await rawRequest(entrepot.host, { path: '/readyz' })).status, 200);
  return { entrepot, readyAfter: performance.now() - began };
}

function blobUrl(entrepot: RunningEntrepot, { digest }: Content): string {
  return `${entrepot.url}/up/v2/${REPOSITORY}/blobs/${digest}`;
}

/** Gets a body as far as it comes; `onBytes` hears of each piece, and all of it is in the result. */
function fetchSome(
  url: string,
  onBytes: (count: number) => void = () => {},
): Promise<{ bytes: Buffer; whole: boolean }> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    const end = (whole: boolean): void => resolve({ bytes: Buffer.concat(chunks), whole });
    const request = get(url, { agent: false }, (response) => {
      response.on('data', (chunk: Buffer) => {
        chunks.push(chunk);
        onBytes(chunk.length);
      });
      response.on('error', () => undefined);
      response.on('close', () => end(response.complete && response.statusCode === 200));
    });
    request.on('error', () => end(false));
  });
}

/** What lies on disk is what it is called, and nothing is half there. */
async function assertSound(dir: string): Promise<void> {
  assert.deepEqual(await readdir(join(dir, 'ingest')), [], 'left over');
  for (const file of globSync('blobs/*/*/*', { cwd: dir })) {
    const algorithm = file.split('/')[1] ?? '';
    const hash = createHash(algorithm);
    await pipeline(createReadStream(join(dir, file)), hash);
    assert.equal(hash.digest('hex'), basename(file));
  }
}

/** Every one of these is served whole and right; what is here already does not come from the upstream again. */
async function assertServed(entrepot: RunningEntrepot, blobs: readonly Content[]): Promise<void> {
  for (const blob of blobs) {
    const { bytes, whole } = await fetchSome(blobUrl(entrepot, blob));
    assert.ok(whole && bytes.equals(blob.bytes), `${blob.digest} is not served as it should be`);
  }
}

async function kill(entrepot: RunningEntrepot): Promise<void> {
  entrepot.process.kill('SIGKILL');
  await entrepot.process.exited;
}

function makeBlobs(seed: string, sizes: readonly number[]): Content[] {
  const blobs = sizes.map((size, i) => content('application/octet-stream', noise(`${seed}/${i}`, size)));
  for (const blob of blobs) upstream.addBlob(REPOSITORY, blob);
  return blobs;
}

test(`kill -9 at any moment of an ingest, ${ROUNDS} times over on one directory`, {
  timeout: 10_000 + ROUNDS * 10_000,
}, async (t) => {
  const dir = workspace.path('killed');
  const times: number[] = [];
  let known: Content[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const { entrepot, readyAfter } = await start(dir);
    if (round > 0) times.push(readyAfter);
    await assertSound(dir);
    // What the round before was killed over.
    await assertServed(entrepot, known);

    known = makeBlobs(`round ${round}`, [400_000, 90_000, 1000]);
    const total = known.reduce((sum, { size }) => sum + size, 0);
    // Half of the rounds end early, half around the last bytes, where a commit runs.
    const fatal = round % 2 === 0 ? randomInt(total) : total - randomInt(2000);
    let received = 0;
    const pulls = known.map(async (blob) => {
      const { bytes, whole } = await fetchSome(blobUrl(entrepot, blob), (count) => {
        received += count;
        if (received >= fatal) entrepot.process.kill('SIGKILL');
      });
      assert.ok(bytes.equals(blob.bytes.subarray(0, bytes.length)), `wrong, killed at ${fatal} of ${total}`);
      assert.ok(!whole || bytes.length === blob.size, `complete and short, killed at ${fatal} of ${total}`);
    });
    await Promise.all(pulls);
    await kill(entrepot);
  }
  const { entrepot } = await start(dir);
  await assertSound(dir);
  await assertServed(entrepot, known);
  assert.equal(await entrepot.stop(), 0);
  const median = times.toSorted((a, b) => a - b)[Math.floor(times.length / 2)] ?? 0;
  t.diagnostic(`ready after ${Math.round(median)} ms (median), ${Math.round(Math.max(0, ...times))} ms at most`);
});

describe('kill -9 at each named point', () => {
  test('they are all the points there are', () => {
    const sources = globSync('../../src/store/**/*.ts', { cwd: import.meta.dirname });
    const named = sources
      .map((file) => readFileSync(join(import.meta.dirname, file), 'utf8'))
      .flatMap((text) => [...text.matchAll(/crashPoint\('([a-z.]+)'\)/g)].map(([, point]) => point));
    // What only pushes pass is tried in src/store/blobs/hosted-crash.test.ts, and what large blobs pass in partial-crash.test.ts.
    const pulled = named.filter((point) => !/^(?:named|link|note|adopt)\./.test(point ?? ''));
    assert.deepEqual(new Set(pulled), new Set(CRASH_POINTS));
  });

  for (const point of [...CRASH_POINTS, 'ingest.written#3']) {
    test(`a blob, at ${point}`, async () => {
      const dir = workspace.path(`at-${point}`);
      // Its bytes come in pieces of up to 1 MiB.
      const [blob] = makeBlobs(point, [4_500_000]) as [Content];
      const dying = (await start(dir, point)).entrepot;
      const cut = await fetchSome(blobUrl(dying, blob));
      await dying.process.exited;
      assert.ok(cut.bytes.equals(blob.bytes.subarray(0, cut.bytes.length)), 'what came was right');

      const next = (await start(dir)).entrepot;
      await assertSound(dir);
      const before = upstream.blobBodies(blob.digest).length;
      await assertServed(next, [blob, blob]);
      assert.ok(upstream.blobBodies(blob.digest).length <= before + 1, 'it comes at most once more');
      assert.equal(await next.stop(), 0);
      await assertSound(dir);
    });
  }

  for (const point of ['ingest.created', 'commit.renamed', 'commit.indexed']) {
    test(`an image’s manifest, at ${point}: the pull completes afterwards`, async () => {
      const dir = workspace.path(`manifest-at-${point}`);
      const image = buildImage({ seed: point, layers: [5000], architectures: ['amd64'] });
      upstream.add(image, REPOSITORY, [point]);
      const dying = (await start(dir, point)).entrepot;
      await fetchSome(`${dying.url}/up/v2/${REPOSITORY}/manifests/${point}`);
      await dying.process.exited;

      const next = (await start(dir)).entrepot;
      await assertSound(dir);
      const { manifest, config, layers } = platformOf(image, 'amd64');
      for (const [reference, { bytes }] of [
        [point, image.index],
        [manifest.digest, manifest],
      ] as const) {
        const answer = await rawRequest(next.host, { path: `/up/v2/${REPOSITORY}/manifests/${reference}` });
        assert.ok(answer.status === 200 && answer.body.equals(bytes));
      }
      await assertServed(next, [config, ...layers]);
      assert.equal(await next.stop(), 0);
    });
  }
});

test('kill -9 while many follow one transfer: no client has a wrong byte, and all can begin again', async () => {
  const dir = workspace.path('followed');
  const [blob] = makeBlobs('followed', [2_000_000]) as [Content];
  const gate = new Gate();
  const heal = upstream.fault(blob.digest, { stallAt: 1_000_000, stallGate: gate });
  const { entrepot } = await start(dir);
  const following = Array.from({ length: 10 }, () => fetchSome(blobUrl(entrepot, blob)));
  await eventually(() => {
    const seen = entrepot.logs().map(({ msg }) => msg);
    assert.deepEqual(
      [seen.includes('ingest.started'), seen.filter((msg) => msg === 'ingest.joined').length],
      [true, 9],
    );
  });
  assert.equal((await readdir(join(dir, 'ingest'))).length, 1);
  await kill(entrepot);
  for (const { bytes, whole } of await Promise.all(following)) {
    assert.ok(!whole && bytes.equals(blob.bytes.subarray(0, bytes.length)));
  }
  heal();
  gate.open();
  const next = (await start(dir)).entrepot;
  await assertSound(dir);
  await assertServed(
    next,
    Array.from({ length: 3 }, () => blob),
  );
  assert.equal(await next.stop(), 0);
});
