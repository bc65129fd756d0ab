import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { Agent, type IncomingHttpHeaders, request } from 'node:http';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { callControl, controlSocketPath, OPERATIONS } from '../../src/admin/index.ts';
import { digestOf } from '../../src/oci/index.ts';
import { loadPullStore, pullFile } from '../../src/store/index.ts';
import { buildImage, platformOf, type TestImage } from '../support/image.ts';
import { type Mirror, startMirror } from '../support/mirror.ts';
import { eventually } from '../support/pull-stage.ts';
import { Gate, type ScriptedUpstream, startScriptedUpstream } from '../support/scripted-upstream.ts';
import { memoryDirectory } from '../support/temporary.ts';

/** Pulls; `TEST_ROUNDS=…` does more. */
const PULLS = Number(process.env['TEST_ROUNDS'] ?? 10_000);
const AT_ONCE = 16;
const REPOSITORIES = 24;
/** Every so many pulls a client leaves in the middle of a blob, or a body of the upstream breaks off, or the upstream fails. */
const CUT_EVERY = 250;
const BROKEN_EVERY = 170;
const FAILED_EVERY = 390;
const FAR_EVERY = 3400;
/** Where a client leaves: so far the upstream has sent. */
const STALLED_AT = 100_000;
const LARGE = 10 * 1024 * 1024;

/** What clients received, counted by themselves. */
interface Received {
  pulls: number;
  requests: number;
  hits: number;
  failed: number;
  bytes: number;
}

/** Deterministic, so that a failure can be repeated (mulberry32). */
function randomFrom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

describe('the figures of pulls', () => {
  const images = new Map<string, TestImage>();
  let upstream: ScriptedUpstream;
  let dir: string;

  before(async () => {
    dir = await mkdtemp(join(memoryDirectory(), 'entrepot-figures-'));
    upstream = await startScriptedUpstream({ personality: 'ghcr' });
    for (let at = 0; at < REPOSITORIES; at += 1) add(`ours/app-${at}`, [2000, 70_000 + at, 300]);
  });
  after(async () => {
    await upstream.stop();
    await rm(dir, { recursive: true, force: true });
  });

  function add(repository: string, layers: readonly number[]): TestImage {
    const image = buildImage({ seed: repository, layers, architectures: ['amd64'] });
    upstream.add(image, repository, ['latest', 'v1']);
    images.set(repository, image);
    return image;
  }

  function start(): Promise<Mirror> {
    const registries = {
      hub: { upstreams: [{ url: upstream.url, token_realms: [new URL(upstream.realm).host] }] },
    };
    return startMirror({ default_registry: 'hub', registries, cache: { tags: { fresh_for: '200ms' } } }, { dir });
  }

  /** Plays some pulls, and counts in `received` what its clients see. */
  async function play(mirror: Mirror, received: Received, numbers: readonly number[]): Promise<void> {
    const agent = new Agent({ keepAlive: true, maxSockets: AT_ONCE });
    const left = [...numbers];
    async function client(): Promise<void> {
      for (let number = left.pop(); number !== undefined; number = left.pop()) await pull(number);
    }
    async function pull(number: number): Promise<void> {
      const below = randomFrom(number);
      const userAgent = `client-${number}/1.0`;
      /** Of each repository: the tag of its newest pull, and the tags that were got. */
      const pulled = new Map<string, Map<string, boolean>>();
      const ask = (path: string, how: { method?: string; range?: string; leaveAt?: number } = {}) => {
        const repository = path.replace(/\/(?:manifests|blobs)\/.*/, '');
        // One client has one pull of each tag until it has got something of it and asks for it again; what it asks for by digest belongs
        // to the newest.
        const tag = path.includes(':') ? '' : path.replace(/.*\//, '');
        const tags = pulled.get(repository) ?? new Map<string, boolean>();
        if (tag === '' ? tags.size === 0 : tags.get(tag) !== false) {
          received.pulls += 1;
          tags.delete(tag);
          tags.set(tag, false);
        }
        pulled.set(repository, tags);
        const [newest = ''] = [...tags.keys()].slice(-1);
        return exchange(mirror, agent, { path: `/v2/${path}`, userAgent, ...how }).then(
          ({ status, headers, bytes }) => {
            const isAnswered = status >= 200 && status < 400;
            received.requests += 1;
            // The body of an error is no content.
            if (isAnswered) received.bytes += bytes;
            if (isAnswered && how.method === undefined && tag === '') tags.set(newest, true);
            if (isAnswered && headers['x-cache'] === 'HIT') received.hits += 1;
            if (status >= 500) received.failed += 1;
            return status;
          },
        );
      };
      if (number % CUT_EVERY === 1) {
        const { layers } = platformOf(add(`cut/a-${number}`, [2 * STALLED_AT]), 'amd64');
        const [layer] = layers;
        upstream.fault(layer?.digest ?? '', { stallAt: STALLED_AT, stallGate: new Gate() });
        await ask(`cut/a-${number}/blobs/${layer?.digest}`, { leaveAt: STALLED_AT });
        return;
      }
      if (number % BROKEN_EVERY === 2) {
        const [layer] = platformOf(add(`broken/a-${number}`, [300_000]), 'amd64').layers;
        upstream.fault(layer?.digest ?? '', { cutAt: 65_536 * (1 + below(4)), times: 1 });
        assert.equal(await ask(`broken/a-${number}/blobs/${layer?.digest}`), 200);
        return;
      }
      if (number % FAILED_EVERY === 3) {
        upstream.fault({ repository: `down/a-${number}` }, { status: 503 });
        await ask(`down/a-${number}/manifests/latest`);
        return;
      }
      if (number % FAR_EVERY === 4) {
        const [layer] = platformOf(add(`far/a-${number}`, [LARGE]), 'amd64').layers;
        assert.equal(await ask(`far/a-${number}/manifests/latest`), 200);
        assert.equal(await ask(`far/a-${number}/blobs/${layer?.digest}`, { range: 'bytes=9500000-9500999' }), 206);
        return;
      }
      const repository = `ours/app-${below(REPOSITORIES)}`;
      const { manifest, config, layers } = platformOf(images.get(repository) as TestImage, 'amd64');
      const blobs = [config, ...layers];
      const steps: readonly (() => Promise<number>)[] = [
        () => ask(`${repository}/manifests/${below(2) === 0 ? 'latest' : 'v1'}`, { method: 'HEAD' }),
        () => ask(`${repository}/manifests/latest`),
        () => ask(`${repository}/manifests/${manifest.digest}`),
        () => ask(`${repository}/blobs/${blobs[below(blobs.length)]?.digest}`),
        () => ask(`${repository}/blobs/${blobs[below(blobs.length)]?.digest}`, { method: 'HEAD' }),
        () => ask(`${repository}/blobs/${layers[1]?.digest}`, { range: `bytes=${below(60_000)}-${60_000 + below(9)}` }),
        () => ask(`${repository}/blobs/${layers[1]?.digest}`, { range: 'bytes=5-9,100-200' }),
        () => ask(`${repository}/blobs/${layers[1]?.digest}`, { range: 'bytes=900000-' }),
        () => ask(`${repository}/manifests/no-such-tag-${below(50)}`),
        () => ask(`no/such-${below(5000)}/manifests/latest`),
      ];
      for (let step = below(3); step >= 0; step -= 1) await steps[below(steps.length)]?.();
    }
    await Promise.all(Array.from({ length: AT_ONCE }, client));
    agent.destroy();
  }

  /** Lets every transfer end, and stops the server. */
  async function settle(mirror: Mirror): Promise<void> {
    upstream.heal();
    const signal = AbortSignal.timeout(30_000);
    while ((await mirror.app.status()).transfers.length > 0) {
      signal.throwIfAborted();
      await sleep(10);
    }
    await mirror.stop();
    await eventually(() => assert.ok(upstream.requests.every(({ end }) => end !== 'running')));
  }

  test(`are right for ${PULLS} random pulls, with a restart between them`, { timeout: 600_000 }, async () => {
    const received: Received = { pulls: 0, requests: 0, hits: 0, failed: 0, bytes: 0 };
    const numbers = Array.from({ length: PULLS }, (_, at) => at);
    const half = Math.floor(PULLS / 2);
    await using first = await start();
    await play(first, received, numbers.slice(0, half));
    await settle(first);
    await using second = await start();
    await play(second, received, numbers.slice(half));
    await settle(second);

    const fetched = upstream.requests.filter(({ at }) => at !== 'token').reduce((sum, { bytes }) => sum + bytes, 0);
    await using third = await start();
    const figures = await callControl(controlSocketPath(dir), OPERATIONS.figures, {
      input: { step: 'hour' },
    });
    const expected = { ...received, fetched, saved: Math.max(0, received.bytes - fetched) };
    assert.deepEqual(figures.total, expected);
    const inTop = figures.top.reduce((sum, { bytes }) => sum + bytes, 0);
    assert.equal(inTop, received.bytes, 'the repositories make up the whole');
    assert.ok(received.failed > 0 && received.hits > 0, JSON.stringify(expected));
    assert.ok(third.log.every(({ level }) => level !== 'error'));
  });

  test('are those of pulls that can be found by any of their requests, also later', async () => {
    const mirror = await start();
    const { headers } = await mirror.get('/v2/ours/app-0/manifests/latest', { 'user-agent': 'a-client/1' });
    const { body } = await mirror.get('/v2/ours/app-0/manifests/latest', { 'user-agent': 'b-client/1' });
    const digest = digestOf(body);
    const { headers: other } = await mirror.get(`/v2/ours/app-0/manifests/${digest}`, { 'user-agent': 'a-client/1' });
    await mirror.get('/v2/ours/app-0/manifests/v1', { 'user-agent': 'c-client/1' });
    await mirror.stop();
    const { openPullStore } = await loadPullStore();
    const store = await openPullStore(pullFile(dir), { onDamage: assert.fail });
    const found = await store.find(other['x-request-id'] ?? '');
    const last = await store.lastPull({ registry: 'hub', repository: 'ours/app-0', tag: 'v1' });
    await store.close();
    assert.ok(found !== undefined);
    assert.equal(found.id, headers['x-request-id']);
    const { userAgent, requests, registry, repository, reference, namedBy } = found;
    assert.deepEqual(
      { userAgent, requests, registry, repository, reference, namedBy },
      {
        userAgent: 'a-client/1',
        requests: 2,
        registry: 'hub',
        repository: 'ours/app-0',
        reference: 'latest',
        namedBy: 'default',
      },
    );
    const [request] = found.requestList;
    assert.ok(request !== undefined && request.asked.length > 0, 'a tag that is no longer fresh asks its upstream');
    assert.ok(request.asked.every(({ url }) => !url.includes('?')));
    for (const step of ['slotMs', 'gateMs', 'firstByteMs'] as const) assert.ok((request[step] ?? -1) >= 0, step);
    assert.equal(last?.by, '127.0.0.1');
  });
});

interface Answered {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** Of the body, as they were received. */
  readonly bytes: number;
}

/** @param how.leaveAt the connection is closed when so many bytes have come */
function exchange(
  { host }: Mirror,
  agent: Agent,
  how: {
    readonly path: string;
    readonly userAgent: string;
    readonly method?: string;
    readonly range?: string;
    readonly leaveAt?: number;
  },
): Promise<Answered> {
  const { path, userAgent, method = 'GET', range, leaveAt } = how;
  const headers = {
    'user-agent': userAgent,
    // Old clients that know no index get another manifest.
    accept: 'application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json',
    ...(range === undefined ? {} : { range }),
  };
  const [hostname, port] = host.split(':');
  return new Promise((resolve, reject) => {
    const asking = request({ agent, hostname, port, path, method, headers }, (response) => {
      let bytes = 0;
      const { statusCode: status = 0, headers: got } = response;
      response.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
        if (leaveAt === undefined || bytes < leaveAt) return;
        resolve({ status, headers: got, bytes });
        response.destroy();
      });
      response.on('end', () => resolve({ status, headers: got, bytes }));
      response.on('error', reject);
    });
    asking.on('error', reject);
    asking.end();
  });
}
