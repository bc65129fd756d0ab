import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type CopyInput, type CopyJob, callControl, controlSocketPath, OPERATIONS } from '../../src/admin/index.ts';
import { copy } from '../../src/cli/commands/carry/copy.ts';
import { digestOf, MEDIA_TYPES } from '../../src/oci/index.ts';
import { captureOutput } from '../support/capture-output.ts';
import { buildImage, type Content, platformOf } from '../support/image.ts';
import { type Mirror, startMirror } from '../support/mirror.ts';
import { PushUpstream, receive, send, sendError } from '../support/push-upstream.ts';
import { Gate, type ScriptedUpstream, startScriptedUpstream } from '../support/scripted-upstream.ts';

// Images that the server copies from a mirrored registry to one that takes pushes, and to a hosted repository.

const image = buildImage({ seed: 'copy', layers: [40_000, 300_000] });
const layer = platformOf(image, 'amd64').layers[1] as Content;
const ALL = [...image.manifests, ...image.blobs].reduce((sum, { size }) => sum + size, 0);

/** A manifest with one blob that refers to another manifest. */
function referrerOf({ mediaType, digest, size }: Content, artifactType: string): { manifest: Content; blob: Content } {
  const blob = contentOf('application/octet-stream', Buffer.from(`${artifactType} of ${digest}`));
  const pointer = { mediaType: blob.mediaType, digest: blob.digest, size: blob.size };
  const value = {
    schemaVersion: 2,
    mediaType: MEDIA_TYPES.ociManifest,
    artifactType,
    config: { ...pointer, mediaType: artifactType },
    layers: [pointer],
    subject: { mediaType, digest, size },
  };
  return { manifest: contentOf(MEDIA_TYPES.ociManifest, Buffer.from(JSON.stringify(value))), blob };
}

function contentOf(mediaType: string, bytes: Buffer): Content {
  return { mediaType, digest: digestOf(bytes), size: bytes.length, bytes };
}

interface Stage {
  readonly cold: ScriptedUpstream;
  readonly hot: PushUpstream;
  readonly mirror: Mirror;
}

async function stage(t: TestContext, config: Readonly<Record<string, unknown>> = {}): Promise<Stage> {
  const cold = await startScriptedUpstream();
  cold.add(image, 'team/app', ['1']);
  const hot = await PushUpstream.start();
  const mirror = await startMirror({
    registries: {
      cold: { upstreams: [{ url: cold.url, name: 'cold' }] },
      hot: { upstreams: [{ url: hot.url, name: 'hot' }], push: ['**'], immutable_tags: ['fixed*'] },
      tiered: {
        upstreams: [
          { url: hot.url, name: 'near' },
          { url: cold.url, name: 'far' },
        ],
        push: ['**'],
      },
      apps: { hosted: true },
    },
    ...config,
  });
  t.after(async () => {
    cold.heal();
    await mirror.stop();
    await Promise.all([cold.stop(), hot.close()]);
  });
  return { cold, hot, mirror };
}

const FROM = 'cold/team/app:1';

function start({ dir }: Mirror, input: Partial<CopyInput> = {}): Promise<CopyJob> {
  const whole = { from: FROM, to: 'hot/team/app:1', platforms: [], allTags: false, ...input };
  return callControl(controlSocketPath(dir), OPERATIONS.copy, { input: whole });
}

/** The job once it is so. */
async function once({ dir }: Mirror, { id }: CopyJob, fits: (job: CopyJob) => boolean): Promise<CopyJob> {
  for (const end = performance.now() + 60_000; ; ) {
    const { jobs } = await callControl(controlSocketPath(dir), OPERATIONS.copyJobs, { input: {} });
    const job = jobs.find((each) => each.id === id);
    if (job !== undefined && fits(job)) return job;
    assert.ok(performance.now() < end, `it never came to that: ${JSON.stringify(job)}`);
    await sleep(10);
  }
}
const endOf = (mirror: Mirror, job: CopyJob) => once(mirror, job, ({ endedAt }) => endedAt !== undefined);
const copied = async (mirror: Mirror, input?: Partial<CopyInput>) => endOf(mirror, await start(mirror, input));
const cancel = ({ dir }: Mirror, { id }: CopyJob) =>
  callControl(controlSocketPath(dir), OPERATIONS.copyCancel, { input: { id } });

/** Requests that change something. */
const changes = ({ hot }: Stage): readonly string[] =>
  hot.seen
    .filter(({ method }) => method !== 'GET' && method !== 'HEAD')
    .map(({ method, url }) => `${method} ${url.replace(/\?.*$/, '').replace(/uploads\/[0-9a-f-]{36}$/, 'uploads/ID')}`);

describe('a copy to an upstream', () => {
  test('sends blobs before manifests, children before their index and the tag last, each once', async (t) => {
    const here = await stage(t);
    const job = await copied(here.mirror);
    assert.deepEqual([job.counts.done, job.sent, job.size, job.by], [1, ALL, ALL, 'operator'], JSON.stringify(job));
    const sent = changes(here);
    const uploads = sent.filter((each) => each.includes('/uploads/'));
    assert.equal(uploads.length, 2 * image.blobs.length, sent.join('\n'));
    assert.deepEqual(sent, [
      ...uploads,
      ...image.platforms.map(({ manifest }) => `PUT /v2/team/app/manifests/${manifest.digest}`),
      'PUT /v2/team/app/manifests/1',
    ]);
    for (const { digest, bytes } of image.blobs) assert.ok(here.hot.blobs.get(`team/app ${digest}`)?.equals(bytes));
    assert.equal(here.hot.tags.get('team/app 1'), image.index.digest);
    for (const { digest } of image.blobs) assert.equal(here.cold.blobBodies(digest).length, 1);
    const again = await copied(here.mirror);
    assert.deepEqual([again.sent, again.manifests, again.skipped], [0, 0, image.blobs.length]);
    assert.deepEqual(changes(here), sent);
    // What was copied is known here.
    await here.hot.close();
    const pulled = await here.mirror.get('/hot/v2/team/app/manifests/1');
    assert.deepEqual([pulled.status, pulled.headers['x-cache']], [200, 'HIT']);
    await here.hot.listen();
  });

  test('is made once for two callers', async (t) => {
    const { cold, hot, mirror } = await stage(t);
    const stallGate = new Gate();
    cold.fault(layer.digest, { stallAt: 100_000, stallGate });
    const first = await start(mirror);
    await stallGate.arrived();
    const second = await start(mirror);
    stallGate.open();
    const [one, two] = await Promise.all([endOf(mirror, first), endOf(mirror, second)]);
    assert.deepEqual([one.joined, two.joined, one.sent, two.sent], [1, 0, ALL, ALL]);
    const posts = hot.asked().filter((each) => each.startsWith('POST '));
    assert.equal(posts.length, image.blobs.length);
  });

  test('mounts what another repository of the registry has, and uploads where the registry does not mount', async (t) => {
    const here = await stage(t);
    await copied(here.mirror);
    const before = changes(here).length;
    const beside = await copied(here.mirror, { from: 'hot/team/app:1', to: 'hot/other/app:1' });
    assert.deepEqual([beside.counts.done, beside.mounted], [1, image.blobs.length], JSON.stringify(beside));
    assert.deepEqual(
      changes(here)
        .slice(before)
        .filter((each) => each.includes('uploads/ID')),
      [],
    );
    here.hot.script = (request, response, { url }) => {
      if (request.method !== 'POST' || !url.includes('mount=')) return 'usual';
      return sendError(response, 405, 'UNSUPPORTED', 'no mounts here');
    };
    const third = await copied(here.mirror, { from: 'hot/team/app:1', to: 'hot/third/app:1' });
    assert.deepEqual([third.counts.done, third.mounted, third.sent], [1, 0, ALL], JSON.stringify(third));
  });

  test('brings to the first upstream of a registry what only the next one has', async (t) => {
    const { hot, mirror } = await stage(t);
    const name = 'tiered/team/app:1';
    const job = await copied(mirror, { from: name, to: name });
    assert.deepEqual([job.counts.done, job.sent], [1, ALL], JSON.stringify(job));
    assert.equal(hot.tags.get('team/app 1'), image.index.digest);
    assert.equal((await copied(mirror, { from: name, to: name })).sent, 0);
  });

  test('leaves no trace of a blob that is wrong at its source', async (t) => {
    const { cold, hot, mirror } = await stage(t);
    cold.fault(layer.digest, { flipAt: 1000 });
    const job = await start(mirror);
    const failed = await once(mirror, job, ({ images: [only] }) => only?.error !== undefined);
    await cancel(mirror, job);
    assert.notEqual(failed.counts.done, 1);
    assert.equal(hot.blobs.has(`team/app ${layer.digest}`), false);
    assert.equal(hot.tags.size, 0);
  });

  test('waits where the registry says that it is too much, and begins an upload again that was lost', async (t) => {
    const { cold, hot, mirror } = await stage(t);
    let refusals = 0;
    hot.script = async (request, response, seen) => {
      const isLayer = request.method === 'PUT' && seen.url.includes(encodeURIComponent(layer.digest));
      if (!isLayer || refusals > 0) return hot.usual(request, response, seen);
      refusals += 1;
      await receive(request, response, seen);
      sendError(response, 404, 'BLOB_UPLOAD_UNKNOWN', 'restarted');
    };
    const lost = await copied(mirror);
    assert.deepEqual([lost.counts.done, lost.sent - layer.size], [1, ALL], JSON.stringify(lost));
    const fresh = buildImage({ seed: 'throttled', architectures: ['amd64'], layers: [100] });
    hot.script = (request, response) =>
      request.method === 'POST'
        ? sendError(response, 429, 'TOOMANYREQUESTS', 'slower', { 'retry-after': '90' })
        : 'usual';
    cold.add(fresh, 'team/app', ['3']);
    const throttled = await start(mirror, { from: 'cold/team/app:3', to: 'hot/team/app:3' });
    const waits = await once(mirror, throttled, ({ images: [only] }) => only?.error !== undefined);
    assert.deepEqual([waits.counts.waiting, waits.endedAt], [1, undefined], JSON.stringify(waits));
    const posts = hot.asked().filter((each) => each.startsWith('POST ')).length;
    assert.equal((await cancel(mirror, throttled)).job?.counts.cancelled, 1);
    assert.equal(hot.asked().filter((each) => each.startsWith('POST ')).length, posts);
  });

  test('is cancelled, and gives its uploads up', async (t) => {
    const { cold, hot, mirror } = await stage(t);
    const stallGate = new Gate();
    cold.fault(layer.digest, { stallAt: 100_000, stallGate });
    const job = await start(mirror);
    await stallGate.arrived();
    assert.equal((await cancel(mirror, job)).job?.counts.cancelled, 1);
    stallGate.open();
    for (const end = performance.now() + 20_000; hot.openUploads > 0; await sleep(10)) {
      assert.ok(performance.now() < end, `${hot.openUploads} uploads stay open`);
    }
    assert.equal(hot.tags.size, 0);
  });

  test('goes on with the other tags where one fails, and the command says so', async (t) => {
    const { cold, hot, mirror } = await stage(t);
    cold.add(buildImage({ seed: 'second', layers: [100] }), 'team/app', ['2', 'fixed']);
    hot.tags.set('team/app fixed', image.index.digest);
    hot.manifests.set(`team/app ${image.index.digest}`, { bytes: image.index.bytes, mediaType: image.index.mediaType });
    const { output, said } = captureOutput();
    const flags = { cacheDir: mirror.dir };
    const options = { flags, source: 'cold/team/app', destination: 'hot/team/app', allTags: true };
    const code = await copy(options, { output, isTerminal: false, lookEvery: 10 });
    assert.equal(code, 1, said.out);
    assert.match(
      said.out,
      /^hot\/team\/app:fixed: the tag fixed is immutable.*\n2 images copied: .*\n1 image failed\./,
    );
    assert.match(said.err, /hot\/team\/app:2: done/);
    assert.deepEqual([hot.tags.has('team/app 1'), hot.tags.has('team/app 2')], [true, true]);
    assert.equal(hot.tags.get('team/app fixed'), image.index.digest);
  });

  test('is refused with what to write', async (t) => {
    const { mirror, hot } = await stage(t);
    const rows: readonly (readonly [Partial<CopyInput>, RegExp])[] = [
      [{ to: 'cold/team/copy' }, /takes no copy: it is mirrored\. .*push: \["team\/copy"\].*hosted: \["team\/copy"\]/],
      [{ from: 'hot/a:1', to: 'hot/a:1' }, /both the source and the destination/],
      [{ allTags: true, from: 'cold/team/app', to: 'hot/team/app:1' }, /leave out tag and digest/],
      [{ to: `hot/team/app@${layer.digest}` }, /names a digest, which the copy may not have/],
      [{ to: 'unheard.example/a:1' }, /unheard\.example/],
      [{ to: 'hot/*' }, /is not one image/],
    ];
    for (const [input, message] of rows) await assert.rejects(start(mirror, input), { message });
    assert.deepEqual(hot.asked(), []);
  });
});

describe('a copy to a hosted repository', () => {
  test('streams what is not cached, links what is, and mounts what is hosted', async (t) => {
    const { cold, mirror } = await stage(t);
    const streamed = await copied(mirror, { to: 'apps/app' });
    assert.deepEqual([streamed.counts.done, streamed.sent], [1, ALL], JSON.stringify(streamed));
    const pulled = await mirror.get('/apps/v2/app/manifests/1');
    assert.deepEqual([pulled.status, pulled.headers['docker-content-digest']], [200, image.index.digest]);
    const blob = await mirror.get(`/apps/v2/app/blobs/${layer.digest}`);
    assert.ok(blob.body.equals(layer.bytes));
    cold.forget();
    const linked = await copied(mirror, { to: 'apps/linked' });
    assert.deepEqual([linked.counts.done, linked.mounted], [1, image.blobs.length]);
    assert.equal(cold.count({ kind: 'blob', method: 'GET' }), 0, cold.journal());
    const mounted = await copied(mirror, { from: 'apps/app:1', to: 'apps/mounted:2' });
    assert.deepEqual([mounted.counts.done, mounted.mounted], [1, image.blobs.length]);
    assert.deepEqual([(await copied(mirror, { to: 'apps/app' })).sent], [0]);
  });

  test('takes what refers to the image and to its children along, by the list of referrers, wherever it goes', async (t) => {
    const { cold, hot, mirror } = await stage(t);
    const child = platformOf(image, 'arm64').manifest;
    const sbom = referrerOf(image.index, 'application/spdx+json');
    const signature = referrerOf(sbom.manifest, 'application/vnd.dev.cosign.artifact.sig.v1+json');
    const provenance = referrerOf(child, 'application/vnd.in-toto+json');
    for (const { manifest, blob } of [sbom, signature, provenance]) {
      cold.library.addManifest('team/app', manifest);
      cold.library.addBlob('team/app', blob);
    }
    // The list names it, and the registry has it no more.
    const gone = referrerOf(child, 'application/gone').manifest;
    cold.library.addManifest('team/app', gone);
    cold.fault(gone.digest, { status: 404 });
    hot.script = (_, response, { url }) => {
      const [, repository, digest] = /^\/v2\/(.+)\/referrers\/(.+)$/.exec(url) ?? [];
      if (repository === undefined) return 'usual';
      const all = [...hot.manifests].filter(([key]) => key.startsWith(`${repository} `)).map(([, each]) => each);
      const manifests = all
        .filter(({ bytes }) => JSON.parse(bytes.toString()).subject?.digest === digest)
        .map(({ bytes, mediaType }) => ({ mediaType, digest: digestOf(bytes), size: bytes.length }));
      const list = JSON.stringify({ schemaVersion: 2, mediaType: MEDIA_TYPES.ociIndex, manifests });
      return send(response, 200, { 'content-type': MEDIA_TYPES.ociIndex }, list);
    };
    for (const to of ['apps/app', 'hot/team/app']) {
      const job = await copied(mirror, { to });
      assert.deepEqual([job.counts.done, job.manifests], [1, image.manifests.length + 3], JSON.stringify(job));
      const again = await copied(mirror, { to });
      assert.deepEqual([again.counts.done, again.sent], [1, 0], JSON.stringify(again));
    }
    for (const [subject, { manifest }] of [
      [image.index.digest, sbom],
      [sbom.manifest.digest, signature],
      [child.digest, provenance],
    ] as const) {
      const list = await mirror.get(`/apps/v2/app/referrers/${subject}`);
      const { manifests } = JSON.parse(list.body.toString()) as { manifests: { digest: string }[] };
      assert.deepEqual(
        manifests.map(({ digest }) => digest),
        [manifest.digest],
      );
      assert.ok(hot.manifests.has(`team/app ${manifest.digest}`));
    }
  });

  test('goes on to an upstream with all that it has', async (t) => {
    const { hot, mirror } = await stage(t);
    await copied(mirror, { to: 'apps/app' });
    const job = await copied(mirror, { from: 'apps/app:1', to: 'hot/away:1' });
    assert.deepEqual([job.counts.done, job.sent], [1, ALL], JSON.stringify(job));
    assert.equal(hot.tags.get('away 1'), image.index.digest);
  });

  test('takes an index without all of its images only where it is sparse', async (t) => {
    const { mirror } = await stage(t);
    const three = buildImage({ seed: 'three', layers: [100], architectures: ['amd64', 'arm64', 's390x'] });
    const cold = await startScriptedUpstream();
    t.after(() => cold.stop());
    cold.add(three, 'team/app', ['1']);
    const upstreams = [{ url: cold.url }];
    await mirror.reload({ registries: { cold: { upstreams }, apps: { hosted: true } } });
    const platforms = ['linux/amd64', 'linux/arm64'];
    const refused = await copied(mirror, { to: 'apps/app', platforms });
    assert.match(refused.images[0]?.error ?? '', /copy it without --platform, or set sparse: true for apps/);
    await mirror.reload({ registries: { cold: { upstreams }, apps: { hosted: true, sparse: true } } });
    assert.equal((await copied(mirror, { to: 'apps/app', platforms })).counts.done, 1);
    const missing = await copied(mirror, { to: 'apps/app:2', platforms: ['linux/ppc64le'] });
    assert.match(missing.images[0]?.error ?? '', /it has no image for linux\/ppc64le; it has linux\/amd64/);
  });
});

describe('the command', () => {
  test('shows and stops jobs, leaves them to the server where it is interrupted, and says what is missing', async (t) => {
    const { cold, mirror } = await stage(t);
    const gate = cold.hold(layer.digest);
    const flags = { cacheDir: mirror.dir };
    const run = async (options: Partial<Parameters<typeof copy>[0]>, interrupt?: AbortSignal) => {
      const { output, said } = captureOutput();
      const surroundings = { output, isTerminal: true, terminal: () => ({ rows: 24, columns: 100 }), lookEvery: 5 };
      const given = { flags, source: undefined, destination: undefined, ...options };
      const code = await copy(given, { ...surroundings, ...(interrupt && { interrupt }) });
      return { code, ...said };
    };
    assert.match((await run({})).out, /^No images are being copied/);
    const [unfinished, wrong] = [await run({ source: FROM }), await run({ source: FROM, destination: 'cold/b' })];
    assert.deepEqual([unfinished.code, wrong.code], [2, 1]);
    assert.match(unfinished.err, /entrepot copy SOURCE DESTINATION/);
    assert.match(wrong.err, /takes no copy/);

    const ends = { source: FROM, destination: 'hot/team/app:1' };
    const leaving = new AbortController();
    const left = run(ends, leaving.signal);
    await gate.arrived();
    leaving.abort();
    const { code, err } = await left;
    assert.equal(code, 130);
    assert.match(err, /hot\/team\/app:1 .*\n.*0 of 1 image/);
    assert.match(err, /The server goes on with 1 job: `entrepot copy` shows it/);
    assert.match((await run({})).out, /^JOB +STATE +IMAGES +THERE +SENT +BY\n\w+ +runs +0 of 1 /);

    const ending = new AbortController();
    const ended = run({ ...ends, cancelOnInterrupt: true }, ending.signal);
    await once(mirror, await newest(mirror), ({ joined }) => joined === 0);
    ending.abort();
    assert.equal((await ended).code, 130);
    const stopped = await run({ stop: true, json: true });
    assert.equal(JSON.parse(stopped.out).jobs[0].counts.cancelled, 1);
    gate.open();
    assert.match((await run({})).out, / ended /);
  });
});

async function newest({ dir }: Mirror): Promise<CopyJob> {
  const { jobs } = await callControl(controlSocketPath(dir), OPERATIONS.copyJobs, { input: {} });
  assert.ok(jobs[0] !== undefined);
  return jobs[0];
}
