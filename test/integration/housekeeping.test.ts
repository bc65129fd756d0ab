import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, statfs, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { gc } from '../../src/cli/commands/cache/gc.ts';
import { purge } from '../../src/cli/commands/cache/purge.ts';
import { refresh } from '../../src/cli/commands/cache/refresh.ts';
import { status } from '../../src/cli/commands/server/status.ts';
import { captureOutput } from '../support/capture-output.ts';
import { buildImage, type Content, platformOf } from '../support/image.ts';
import { isIngestEnd, type Mirror, startMirror } from '../support/mirror.ts';
import { startPairOf } from '../support/pair.ts';
import { needs, run } from '../support/processes.ts';
import { startScriptedUpstream } from '../support/scripted-upstream.ts';
import { mountSmallDisk } from '../support/small-disk.ts';

// What an operator does with a cache, and what it does by itself to stay within its limits.

const REPOSITORY = 'team/app';
const image = buildImage({ seed: 'housekeeping', layers: [40_000, 60_000] });
const amd64 = platformOf(image, 'amd64');
const layer = amd64.layers[1] as Content;

const startPair = (cache: Readonly<Record<string, unknown>> = {}) =>
  startPairOf({ image, repository: REPOSITORY, config: { cache } });

const at = (reference: string): string => `/up/v2/${REPOSITORY}/manifests/${reference}`;
const blobAt = (digest: string): string => `/up/v2/${REPOSITORY}/blobs/${digest}`;

/** Pulls what one platform takes, and waits until it is kept. */
async function pullAmd64(mirror: Mirror, tag = 'latest', from = amd64): Promise<void> {
  assert.equal((await mirror.get(at(tag))).status, 200);
  assert.equal((await mirror.get(at(from.manifest.digest))).status, 200);
  for (const { digest, bytes } of [from.config, ...from.layers]) {
    const answer = await mirror.get(blobAt(digest));
    assert.ok(answer.body.equals(bytes));
    if (answer.headers['x-cache'] === 'MISS') await mirror.logged(isIngestEnd(digest));
  }
}

interface Said {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

async function say<O>(
  command: (options: O, output: { out(text: string): void; err(text: string): void }) => Promise<number>,
  options: O,
): Promise<Said> {
  const { output, said } = captureOutput();
  return { code: await command(options, output), ...said };
}

const on = ({ dir }: Pick<Mirror, 'dir'>) => ({ flags: { cacheDir: dir }, json: false });

describe('entrepot gc', () => {
  test('says what would go and whose it is, and takes it when told to', async () => {
    await using pair = await startPair({ tags: { fresh_for: '0s' } });
    const { mirror } = pair;
    await pullAmd64(mirror);
    const before = await mirror.app.status();
    const calm = await say(gc, { ...on(mirror), dryRun: true });
    assert.deepEqual([calm.code, calm.err], [0, '']);
    assert.match(calm.out, /^Nothing to do: the cache holds .* within its limits\.\n$/);
    await writeFile(join(mirror.dir, 'photo.jpg'), 'mine');
    const warned = await say(gc, { ...on(mirror), dryRun: true });
    assert.match(warned.out, /\n1 unknown file in the cache directory: "photo\.jpg"\. They are of other programs/);
    await rm(join(mirror.dir, 'photo.jpg'));
    const planned = await say(gc, { ...on(mirror), dryRun: true, maxSize: '0' });
    assert.match(planned.out, /DIGEST +SIZE +LAST READ +OF/);
    assert.match(planned.out, new RegExp(`${layer.digest.slice(0, 19)} .*up/${REPOSITORY}`));
    assert.match(planned.out, /5 blobs would be evicted/);
    assert.deepEqual((await mirror.app.status()).cache, before.cache);
    const done = await say(gc, { ...on(mirror), json: true, dryRun: false, maxSize: '0' });
    const answer = JSON.parse(done.out) as { freed: number; evicted: unknown[] };
    assert.equal(answer.evicted.length, 5);
    const { cache } = await mirror.app.status();
    assert.ok(cache !== 'off' && cache.bytes === 0);
    assert.match((await mirror.get('/metrics')).body.toString(), new RegExp(`evicted_bytes_total ${answer.freed}\\n`));
    await pullAmd64(mirror);
  });

  test('leaves what a fresh tag leads to, and says that it could not do as told', async () => {
    await using pair = await startPair();
    const { mirror } = pair;
    await pullAmd64(mirror);
    const { code, out } = await say(gc, { ...on(mirror), dryRun: false, maxSize: '1KiB' });
    assert.equal(code, 1);
    assert.match(out, /the rest is in use, pinned or has a fresh tag/);
    assert.equal((await mirror.get(blobAt(layer.digest))).headers['x-cache'], 'HIT');
  });

  test('does it itself where no server runs, and refuses a directory that is not there', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'entrepot-gc-'));
    try {
      await using upstream = await startScriptedUpstream();
      upstream.add(image, REPOSITORY, ['latest']);
      const config = { cache: { tags: { fresh_for: '0s' } }, registries: { up: { upstreams: [upstream.url] } } };
      const first = await startMirror(config, { dir });
      await pullAmd64(first);
      await first.stop();
      const file = join(dir, 'entrepot.yaml');
      await writeFile(file, JSON.stringify({ cache: { dir, tags: { fresh_for: '0s' } } }));
      const flags = { config: file };
      const { code, out } = await say(gc, { flags, json: false, dryRun: false, maxSize: '0' });
      assert.deepEqual([code, /5 blobs were evicted/.test(out)], [0, true], out);
      const purged = await say(purge, { flags, json: false, dryRun: false, patterns: ['gone.example.com/a'] });
      assert.deepEqual([purged.code, purged.out], [1, 'Nothing is cached of gone.example.com/a.\n']);
      const asked = await say(refresh, { flags, json: false, patterns: ['nginx'] });
      assert.equal(asked.code, 1);
      assert.match(asked.err, /No server runs on .*entrepot serve/);
      const absent = await say(gc, { flags: { cacheDir: join(dir, 'no') }, json: false, dryRun: true });
      assert.equal(absent.code, 1);
      assert.match(absent.err, /Cannot use .*\/no as the cache directory: no such directory\. Name/);
    } finally {
      await rm(dir, { recursive: true, force: true });
    }
  });

  test('refuses an amount it cannot read', async () => {
    const { code, err } = await say(gc, { flags: {}, json: false, dryRun: true, maxSize: '5 apples' });
    assert.equal(code, 2);
    assert.match(err, /5 apples is not a size; expected a number with its unit such as 20GB/);
  });
});

describe('entrepot purge', () => {
  test('forgets an image, so that the next pull fetches all of it', async () => {
    await using pair = await startPair();
    const { mirror, upstream } = pair;
    await pullAmd64(mirror);
    const pattern = `up/${REPOSITORY}`;
    const planned = await say(purge, { ...on(mirror), dryRun: true, patterns: [pattern] });
    assert.equal(planned.code, 0);
    assert.match(planned.out, /1 tag and \d+ digests would be forgotten, 5 blobs/);
    assert.equal((await mirror.get(blobAt(layer.digest))).headers['x-cache'], 'HIT');
    const done = await say(purge, { ...on(mirror), dryRun: false, patterns: [pattern] });
    assert.match(done.out, new RegExp(`up/${REPOSITORY}:latest +${image.index.digest.slice(0, 19)}`));
    assert.match(done.out, /5 blobs .* were removed\.\n$/);
    upstream.forget();
    await pullAmd64(mirror);
    assert.equal(upstream.blobBodies(layer.digest).length, 1, upstream.journal());
    const nothing = await say(purge, { ...on(mirror), dryRun: false, patterns: ['up/team/other'] });
    assert.deepEqual([nothing.code, nothing.out], [1, 'Nothing is cached of up/team/other.\n']);
    const wrong = await say(purge, { ...on(mirror), dryRun: false, patterns: ['a b'] });
    assert.equal(wrong.code, 1);
    assert.match(wrong.err, /"a b" names no image: expected a name such as/);
  });
});

describe('entrepot refresh', () => {
  test('says what moved, and brings its manifest', async () => {
    await using pair = await startPair();
    const { mirror, upstream } = pair;
    await pullAmd64(mirror);
    const next = buildImage({ seed: 'moved', layers: [1000] });
    const name = `up/${REPOSITORY}:latest`;
    const still = await say(refresh, { ...on(mirror), patterns: [name] });
    assert.match(still.out, new RegExp(`${name} +unchanged +${image.index.digest.slice(0, 19)}\n`));
    upstream.add(next, REPOSITORY, ['latest']);
    const moved = await say(refresh, { ...on(mirror), patterns: ['up/**'] });
    const [before, after] = [image.index.digest.slice(0, 19), next.index.digest.slice(0, 19)];
    assert.match(moved.out, new RegExp(`${name} +moved +${before} → ${after}\n`));
    assert.equal(moved.code, 0);
    const answer = await mirror.get(at('latest'));
    assert.deepEqual([answer.headers['x-cache'], answer.body.equals(next.index.bytes)], ['HIT', true]);
    upstream.fault({}, { status: 500 });
    const failed = await say(refresh, { ...on(mirror), patterns: [name] });
    assert.equal(failed.code, 1);
    assert.match(failed.out, /failed +hub answered 500/);
  });
});

describe('an upstream that has fallen silent', () => {
  test('is waited for two seconds once, then not at all, and asked little; what is cached is had all the while', async () => {
    await using pair = await startPair({ tags: { fresh_for: '0s' } });
    const { mirror, upstream } = pair;
    await pullAmd64(mirror);
    upstream.hold({});
    upstream.forget();
    const startedAt = performance.now();
    const first = await mirror.get(at('latest'));
    const took = performance.now() - startedAt;
    assert.deepEqual([first.headers['x-cache'], first.body.equals(image.index.bytes)], ['STALE', true]);
    assert.ok(took > 1500 && took < 3000, `it took ${took} ms`);
    assert.match(first.headers['warning'] ?? '', /^299 - "hub has not answered within 2 s/);
    for (let i = 0; i < 20; i += 1) {
      const begun = performance.now();
      const answer = await mirror.get(at('latest'));
      assert.equal(answer.headers['x-cache'], 'STALE');
      assert.equal((await mirror.head(at('latest'))).headers['docker-content-digest'], image.index.digest);
      assert.equal((await mirror.get(at(amd64.manifest.digest))).headers['x-cache'], 'HIT');
      assert.equal((await mirror.get(blobAt(layer.digest))).headers['x-cache'], 'HIT');
      assert.ok(performance.now() - begun < 1000);
    }
    assert.equal(upstream.requests.length, 1, upstream.journal());
    const text = (await mirror.get('/metrics')).body.toString();
    assert.match(text, /entrepot_cache_stale_total\{registry="up"\} 41\n/);
  });

  test('and throttles what is not cached, is passed on as 429 with its Retry-After', async () => {
    await using pair = await startPair();
    const { mirror, upstream } = pair;
    upstream.fault({}, { status: 429, headers: { 'retry-after': '7' } });
    const answer = await mirror.get(at('latest'));
    assert.equal(answer.status, 429);
    assert.ok(Number(answer.headers['retry-after']) <= 7);
  });
});

describe('what is not there', () => {
  test('is asked for once in ten seconds, and at once after a refresh', async () => {
    await using pair = await startPair();
    const { mirror, upstream } = pair;
    for (let i = 0; i < 5; i += 1) assert.equal((await mirror.get(at('soon'))).status, 404);
    assert.equal(upstream.requests.length, 1, upstream.journal());
    upstream.add(image, REPOSITORY, ['soon']);
    assert.equal((await mirror.head(at('soon'))).status, 404, 'as documented');
    assert.equal((await say(refresh, { ...on(mirror), patterns: [`up/${REPOSITORY}:soon`] })).code, 0);
    assert.equal((await mirror.get(at('soon'))).status, 200);
  });
});

describe('platforms', () => {
  test('that are not to be kept are served, and leave nothing on the disk', async () => {
    await using pair = await startPair({ platforms: ['linux/amd64'] });
    const { mirror } = pair;
    await pullAmd64(mirror);
    const { cache: before } = await mirror.app.status();
    await pullAmd64(mirror, 'latest', platformOf(image, 'arm64'));
    assert.deepEqual((await mirror.app.status()).cache, before);
  });
});

async function freeBytes(dir: string): Promise<number> {
  const { bavail, bsize } = await statfs(dir);
  return bavail * bsize;
}

describe('a small disk', () => {
  test('keeps its floor while more is pulled than it has', needs('root'), async (t: TestContext) => {
    const floor = 8 * 2 ** 20;
    const dir = await mountSmallDisk(t, 24 * 2 ** 20);
    if (dir === undefined) return;
    await using upstream = await startScriptedUpstream();
    const images = Array.from({ length: 12 }, (_, i) =>
      buildImage({ seed: `disk ${i}`, layers: [3 * 2 ** 20], architectures: ['amd64'] }),
    );
    for (const [i, each] of images.entries()) upstream.add(each, REPOSITORY, [`t${i}`]);
    const cache = { min_free: floor, tags: { fresh_for: '0s' } };
    await using mirror = await startMirror({ cache, registries: { up: { upstreams: [upstream.url] } } }, { dir });
    for (const [i, each] of images.entries()) {
      await pullAmd64(mirror, `t${i}`, platformOf(each, 'amd64'));
      const free = await freeBytes(dir);
      assert.ok(free >= floor - 2 ** 20, `after ${i + 1} images ${free} bytes are free`);
    }
    assert.match((await mirror.get('/metrics')).body.toString(), /entrepot_cache_evicted_bytes_total [1-9]/);
    // Another program takes what was free: pulls go on, and the status says why nothing is kept.
    await mkdir(join(dir, 'others'));
    await writeFile(join(dir, 'others', 'file'), Buffer.alloc((await freeBytes(dir)) - 4 * 2 ** 20));
    const last = buildImage({ seed: 'last', layers: [10 * 2 ** 20], architectures: ['amd64'] });
    upstream.add(last, REPOSITORY, ['last']);
    await pullAmd64(mirror, 'last', platformOf(last, 'amd64'));
    const told = await say(status, on(mirror));
    assert.match(told.out, /caching +paused, pulls pass through: the disk/);
    assert.match((await mirror.get('/metrics')).body.toString(), /entrepot_cache_paused 1\n/);
  });

  test('without a free byte is started on, served from and freed', needs('root'), async (t) => {
    const dir = await mountSmallDisk(t, 8 * 2 ** 20);
    if (dir === undefined) return;
    await using upstream = await startScriptedUpstream();
    upstream.add(image, REPOSITORY, ['latest']);
    const other = buildImage({ seed: 'not kept', layers: [50_000], architectures: ['amd64'] });
    upstream.add(other, REPOSITORY, ['other']);
    const registries = { up: { upstreams: [upstream.url] } };
    const config = { registries, cache: { pin: [`up/${REPOSITORY}:latest`] } };
    const first = await startMirror(config, { dir });
    await pullAmd64(first);
    await first.stop();
    await mkdir(join(dir, 'others'));
    await writeFile(join(dir, 'others', 'file'), Buffer.alloc(await freeBytes(dir)));
    assert.equal(await freeBytes(dir), 0);

    const full = await startMirror(config, { dir });
    const warm = await full.get(blobAt(layer.digest));
    assert.deepEqual([warm.status, warm.headers['x-cache'], warm.body.equals(layer.bytes)], [200, 'HIT', true]);
    await pullAmd64(full, 'other', platformOf(other, 'amd64'));
    assert.match(
      (await say(status, on(full))).out,
      /caching +paused, pulls pass through: the disk (?:has 0 B|refused)/,
    );
    assert.match((await say(gc, on(full))).out, /the rest is in use, pinned or has a fresh tag/);
    await full.stop();

    // Without a server. Nothing is pinned here, and no tag is fresh.
    const flags = ['--cache-dir', dir];
    const env = {
      ...process.env,
      ENTREPOT_REGISTRIES: JSON.stringify(registries),
      ENTREPOT_CACHE__TAGS__FRESH_FOR: '0s',
    };
    const freed = await run(['sh', 'bin/entrepot', 'gc', ...flags], { env });
    assert.match(freed.stdout, /5 blobs were evicted/, freed.stderr);
    assert.notEqual(await freeBytes(dir), 0);

    // Once there is room, a start keeps as before.
    await rm(join(dir, 'others'), { recursive: true });
    await using mirror = await startMirror(config, { dir });
    const later = buildImage({ seed: 'kept', layers: [70_000], architectures: ['amd64'] });
    upstream.add(later, REPOSITORY, ['later']);
    await pullAmd64(mirror, 'later', platformOf(later, 'amd64'));
    const kept = await mirror.get(blobAt(platformOf(later, 'amd64').config.digest));
    assert.equal(kept.headers['x-cache'], 'HIT');
  });
});
