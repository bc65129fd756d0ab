import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { callControl, controlSocketPath, OPERATIONS, type WarmInput, type WarmJob } from '../../src/admin/index.ts';
import { ask, problemIn } from '../support/api-stage.ts';
import { buildImage, type Content, platformOf } from '../support/image.ts';
import { basic, htpasswdOf } from '../support/logins.ts';
import { isIngestEnd, type Mirror, startMirror } from '../support/mirror.ts';
import { Gate, type ScriptedUpstream, startScriptedUpstream } from '../support/scripted-upstream.ts';

// Images that an operator has fetched into the cache of a whole server, by its control socket.

const REPOSITORY = 'team/app';
const image = buildImage({ seed: 'warm', layers: [40_000, 300_000] });
const amd64 = platformOf(image, 'amd64');
const layer = amd64.layers[1] as Content;
const everything = [...image.manifests, ...image.blobs];

interface Pair extends AsyncDisposable {
  readonly upstream: ScriptedUpstream;
  readonly mirror: Mirror;
}

async function startPair(config: Readonly<Record<string, unknown>> = {}): Promise<Pair> {
  const upstream = await startScriptedUpstream();
  upstream.add(image, REPOSITORY, ['latest']);
  const registries = { up: { upstreams: [{ url: upstream.url, name: 'hub' }] } };
  const mirror = await startMirror({ registries, ...config });
  return {
    upstream,
    mirror,
    async [Symbol.asyncDispose]() {
      upstream.heal();
      await mirror.stop();
      await upstream.stop();
    },
  };
}

async function temporaryDirectory(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'entrepot-warm-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

const at = (reference: string): string => `/up/v2/${REPOSITORY}/manifests/${reference}`;
const blobAt = (digest: string): string => `/up/v2/${REPOSITORY}/blobs/${digest}`;
const warm = ({ dir }: Mirror, input: Partial<WarmInput> & Pick<WarmInput, 'images'>): Promise<WarmJob> =>
  callControl(controlSocketPath(dir), OPERATIONS.warm, { input: { platforms: [], ...input } });
const listed = async ({ dir }: Mirror): Promise<readonly WarmJob[]> =>
  (await callControl(controlSocketPath(dir), OPERATIONS.warmJobs, { input: {} })).jobs;
const cancel = ({ dir }: Mirror, id: string) =>
  callControl(controlSocketPath(dir), OPERATIONS.warmCancel, { input: { id } });

/** The job once it is so; it is asked for as the page asks. */
async function once(mirror: Mirror, id: string, fits: (job: WarmJob) => boolean): Promise<WarmJob> {
  for (const end = performance.now() + 60_000; ; ) {
    const job = (await listed(mirror)).find((each) => each.id === id);
    if (job !== undefined && fits(job)) return job;
    assert.ok(performance.now() < end, `it never came to that: ${JSON.stringify(job)}`);
    await sleep(10);
  }
}
const ended = (mirror: Mirror, { id }: WarmJob) => once(mirror, id, (job) => job.endedAt !== undefined);

describe('warming an image', () => {
  test('asks the upstream for each byte once, for two callers and a client at the same time', async () => {
    await using pair = await startPair();
    const { mirror, upstream } = pair;
    const stallGate = new Gate();
    upstream.fault(layer.digest, { stallAt: 100_000, stallGate });
    const first = await warm(mirror, { images: [`up/${REPOSITORY}`] });
    await stallGate.arrived();
    const second = await warm(mirror, { images: [`up/${REPOSITORY}:latest`] });
    const pull = mirror.get(blobAt(layer.digest));
    await mirror.logged((line) => line.msg === 'ingest.joined' && line['digest'] === layer.digest);
    stallGate.open();
    const [one, two, pulled] = await Promise.all([ended(mirror, first), ended(mirror, second), pull]);
    assert.ok(pulled.body.equals(layer.bytes));
    assert.equal(pulled.headers['x-cache'], 'JOIN');
    const total = everything.reduce((sum, { size }) => sum + size, 0);
    for (const job of [one, two]) {
      assert.deepEqual([job.counts.done, job.bytes, job.size, job.fetched], [1, total, total, total]);
    }
    assert.deepEqual([one.joined, two.joined, one.by], [1, 0, 'operator']);
    for (const { digest } of image.blobs) assert.equal(upstream.blobBodies(digest).length, 1, upstream.journal());
    assert.equal(upstream.count({ kind: 'manifest', method: 'GET' }), image.manifests.length, upstream.journal());
    // From here on the upstream is not needed.
    upstream.forget();
    for (const path of [at('latest'), at(amd64.manifest.digest), blobAt(amd64.config.digest)]) {
      assert.equal((await mirror.get(path)).headers['x-cache'], 'HIT');
    }
    const again = await ended(mirror, await warm(mirror, { images: [`up/${REPOSITORY}`] }));
    assert.deepEqual([again.counts.done, again.fetched], [1, 0]);
    assert.equal(upstream.count(), 0, upstream.journal());
  });

  test('goes on behind a cut, and gets through one that lasts by another attempt', async () => {
    await using pair = await startPair();
    const { mirror, upstream } = pair;
    upstream.fault(layer.digest, { cutAt: 150_000, times: 1 });
    const cut = await ended(mirror, await warm(mirror, { images: [`up/${REPOSITORY}`], platforms: ['linux/amd64'] }));
    assert.equal(cut.counts.done, 1, JSON.stringify(cut));
    const bodies = upstream.blobBodies(layer.digest).reduce((sum, { bytes }) => sum + bytes, 0);
    assert.equal(bodies, layer.size, upstream.journal());
    // Each attempt of the cache makes several requests, and so outlives a short outage.
    const other = buildImage({ seed: 'cut', layers: [50_000], architectures: ['amd64'] });
    upstream.add(other, REPOSITORY, ['cut']);
    const mend = upstream.fault(other.platforms[0]?.layers[0]?.digest ?? '', { status: 503 });
    const job = await warm(mirror, { images: [`up/${REPOSITORY}:cut`] });
    const waits = await once(mirror, job.id, ({ images: [only] }) => only?.error !== undefined);
    assert.deepEqual([waits.counts.waiting, waits.endedAt], [1, undefined], JSON.stringify(waits));
    mend();
    assert.equal((await ended(mirror, job)).counts.done, 1);
  });

  test('is cancelled: its transfer ends, the one that a client follows does not', async () => {
    await using pair = await startPair();
    const { mirror, upstream } = pair;
    const stallGate = new Gate();
    const other = platformOf(image, 'arm64').layers[1] as Content;
    for (const { digest } of [layer, other]) upstream.fault(digest, { stallAt: 1000, stallGate });
    const job = await warm(mirror, { images: [`up/${REPOSITORY}`] });
    await stallGate.arrived(2);
    const pull = mirror.get(blobAt(layer.digest));
    await mirror.logged((line) => line.msg === 'ingest.joined' && line['digest'] === layer.digest);
    const { job: cancelled } = await cancel(mirror, job.id);
    assert.deepEqual(cancelled?.images[0]?.state, 'cancelled');
    await mirror.logged(isIngestEnd(other.digest, 'aborted'));
    stallGate.open();
    assert.ok((await pull).body.equals(layer.bytes));
    await mirror.logged(isIngestEnd(layer.digest, 'committed'));
    assert.deepEqual(await cancel(mirror, 'unknown'), {});
  });

  test('says that a platform is missing, and leaves the other platforms alone', async () => {
    await using pair = await startPair();
    const { mirror, upstream } = pair;
    const job = await warm(mirror, { images: [`up/${REPOSITORY}`], platforms: ['linux/s390x'] });
    const { images } = await ended(mirror, job);
    assert.equal(images[0]?.error, 'it has no image for linux/s390x; it has linux/amd64, linux/arm64');
    assert.equal(upstream.count({ kind: 'blob' }), 0);
  });

  test('takes the platforms of the cache, and refuses others, which are not kept', async () => {
    await using pair = await startPair({ cache: { platforms: ['linux/amd64'] } });
    const { mirror, upstream } = pair;
    await assert.rejects(warm(mirror, { images: [`up/${REPOSITORY}`], platforms: ['linux/arm64'] }), {
      message: /images for linux\/arm64 are not kept.*add linux\/arm64 to cache\.platforms/,
    });
    assert.equal((await ended(mirror, await warm(mirror, { images: [`up/${REPOSITORY}`] }))).counts.done, 1);
    assert.equal(upstream.count({ kind: 'blob', method: 'GET' }), 1 + amd64.layers.length);
  });

  test('by digest takes what the digest names', async () => {
    await using pair = await startPair();
    const { mirror } = pair;
    const { images } = await ended(
      mirror,
      await warm(mirror, { images: [`up/${REPOSITORY}@${amd64.manifest.digest}`] }),
    );
    assert.deepEqual([images[0]?.state, images[0]?.digest], ['done', amd64.manifest.digest]);
    assert.equal(images[0]?.blobCount, 1 + amd64.layers.length);
  });

  test('keeps the other images going where one is not there', async () => {
    await using pair = await startPair();
    const { mirror } = pair;
    const { images, counts } = await ended(
      mirror,
      await warm(mirror, { images: [`up/${REPOSITORY}:gone`, `up/${REPOSITORY}`] }),
    );
    assert.deepEqual([counts.failed, counts.done], [1, 1]);
    assert.match(images[0]?.error ?? '', /hub|not/);
  });
});

describe('the stream of events', () => {
  test('tells of a job while it runs, and of its end', async () => {
    await using pair = await startPair();
    const { mirror, upstream } = pair;
    const stallGate = new Gate();
    upstream.fault(layer.digest, { stallAt: 100_000, stallGate });
    const { code } = await callControl(controlSocketPath(mirror.dir), OPERATIONS.console, { input: {} });
    const session = await fetch(`${mirror.url}/api/v1/session`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ code }),
    });
    const cookie = session.headers.get('set-cookie')?.split(';')[0] ?? '';
    const stream = await fetch(`${mirror.url}/api/v1/events?kinds=warm`, { headers: { cookie } });
    assert.equal(stream.status, 200);
    await warm(mirror, { images: [`up/${REPOSITORY}`] });
    const states: string[] = [];
    let text = '';
    for await (const chunk of (stream.body ?? new ReadableStream()).pipeThrough(new TextDecoderStream())) {
      text += chunk;
      const jobs = Array.from(text.matchAll(/^event: ?warm\n(?:.*\n)*?data: ?(.*)\n/gm), ([, data = '']) => data);
      states.push(...jobs.slice(states.length).map((data) => (JSON.parse(data) as WarmJob).images[0]?.state ?? ''));
      if (states.includes('running')) stallGate.open();
      if (states.at(-1) === 'done') break;
    }
    assert.deepEqual([...new Set(states)], ['running', 'done'], text);
  });
});

describe('what cannot be warmed is refused before anything is asked', () => {
  const wrong: readonly (readonly [string, RegExp])[] = [
    ['', /names no image/],
    ['up/team/*', /is not one image; name a tag or a digest/],
    ['up', /names? no image|is not one image/],
    [`sha256:${'0'.repeat(64)}`, /is not one image/],
    ['up/Team/app', /lower case/],
    ['up/team/app@sha256:12', /no digest/],
    ['nowhere.example:5000/team/app', /is no registry of this server/],
    ['http://10.0.0.1/x', /names no image/],
    ['up/own/app:1', /is hosted here/],
    ['x'.repeat(1001), /at most 1000 characters/],
  ];
  test('wrong names, hosted images and other registries', async () => {
    const upstream = await startScriptedUpstream();
    const registries = { up: { upstreams: [upstream.url], hosted: ['own/**'] } };
    await using mirror = await startMirror({ registries });
    for (const [name, message] of wrong) {
      await assert.rejects(warm(mirror, { images: [name] }), { message }, name.slice(0, 50));
    }
    await assert.rejects(warm(mirror, { images: [] }), /at least one image/);
    await assert.rejects(warm(mirror, { images: ['up/x'], platforms: ['amd64'] }), /a platform such as linux\/amd64/);
    await assert.rejects(warm(mirror, { images: Array(1001).fill('up/x') }), /at most 1000 images/);
    assert.deepEqual(await listed(mirror), []);
    assert.equal(upstream.count(), 0);
    await upstream.stop();
  });
});

describe('with rules', () => {
  const rules = [
    { who: 'alice', may: ['pull', 'status', 'admin'], on: ['up/team/**'] },
    { who: 'bob', may: ['pull', 'status'], on: ['up/other/**'] },
  ];

  async function startRuled(workspace: string, config: Readonly<Record<string, unknown>> = {}): Promise<Pair> {
    const htpasswd = join(workspace, 'htpasswd');
    await writeFile(htpasswd, htpasswdOf('alice', 'bob'));
    return startPair({ access: { htpasswd, rules }, ...config });
  }

  test('a user warms what it may pull, and others see no more than they may pull', async (t) => {
    const workspace = await temporaryDirectory(t);
    await using pair = await startRuled(workspace);
    const { mirror } = pair;
    const post = (images: readonly string[], user: string) =>
      ask(mirror, 'POST', '/api/v1/warm', { body: { images }, headers: basic(user) });
    const refused = problemIn(await post([`up/${REPOSITORY}`, 'up/secret/app'], 'alice'), 403);
    assert.match(refused.detail, /alice may not pull up\/secret\/app:latest/);
    problemIn(await post([`up/${REPOSITORY}`], 'bob'), 403);
    assert.deepEqual(await listed(mirror), []);
    const begun = await post([`up/${REPOSITORY}`], 'alice');
    assert.equal(begun.status, 200, begun.body.toString());
    const job = await ended(mirror, begun.value as WarmJob);
    assert.deepEqual([job.by, job.counts.done], ['alice', 1]);
    const seenBy = async (user: string) =>
      ((await ask(mirror, 'GET', '/api/v1/warm/jobs', { headers: basic(user) })).value as { jobs: WarmJob[] }).jobs;
    assert.deepEqual([(await seenBy('alice')).length, (await seenBy('bob')).length], [1, 0]);
    const cancelled = await ask(mirror, 'POST', '/api/v1/warm/cancel', {
      body: { id: job.id },
      headers: basic('alice'),
    });
    assert.equal((cancelled.value as { job: WarmJob }).job.counts.done, 1, 'what has ended stays as it is');
  });

  test('a server without a cache says that there is none', async (t) => {
    await using pair = await startRuled(await temporaryDirectory(t), { cache: 'off' });
    const body = { images: [`up/${REPOSITORY}`] };
    const answer = await ask(pair.mirror, 'POST', '/api/v1/warm', { body, headers: basic('alice') });
    assert.match(problemIn(answer, 422).detail, /the cache is off.*configure cache\.dir/);
  });
});

describe('a thousand images', () => {
  test('are one job, which a client and a short job need not wait for', async () => {
    await using pair = await startPair();
    const { mirror, upstream } = pair;
    const small = buildImage({ seed: 'small', layers: [2000], architectures: ['amd64'] });
    const tags = Array.from({ length: 999 }, (_, tag) => `v${tag}`);
    upstream.add(small, REPOSITORY, tags);
    const long = await warm(mirror, { images: ['gone', ...tags].map((tag) => `up/${REPOSITORY}:${tag}`) });
    assert.deepEqual([long.images.length, long.omitted], [100, 900]);
    const short = await ended(mirror, await warm(mirror, { images: [`up/${REPOSITORY}`] }));
    assert.equal(short.counts.done, 1);
    assert.equal((await mirror.get(at('latest'))).status, 200);
    const done = await ended(mirror, long);
    assert.deepEqual([done.counts.done, done.counts.failed], [999, 1]);
    // What failed is what an operator looks for.
    assert.equal(done.images[0]?.image, `up/${REPOSITORY}:gone`);
    for (const { digest } of small.blobs) assert.equal(upstream.blobBodies(digest).length, 1);
  });

  test('end with the server', async () => {
    const pair = await startPair();
    const { mirror, upstream } = pair;
    const gate = upstream.hold({ kind: 'manifest' });
    await warm(mirror, { images: Array.from({ length: 1000 }, (_, tag) => `up/${REPOSITORY}:v${tag}`) });
    await gate.arrived(4);
    assert.equal(upstream.count({ kind: 'manifest' }), 4, 'four images at once');
    await mirror.stop();
    await pair[Symbol.asyncDispose]();
    assert.deepEqual(
      mirror.log.filter(({ level }) => level === 'error'),
      [],
    );
  });
});
