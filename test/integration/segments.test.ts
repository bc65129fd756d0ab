import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { buildImage, platformOf, type TestImage } from '../support/image.ts';
import { type Mirror, startMirror } from '../support/mirror.ts';
import { Line, type ScriptedUpstream, startScriptedUpstream } from '../support/scripted-upstream.ts';

const MB = 1024 * 1024;
const SIZE = 12 * MB;
/** Of one connection. */
const RATE = 2 * MB;

describe('a large blob', () => {
  let upstream: ScriptedUpstream;
  let seed = 0;
  const images = new Map<string, TestImage>();

  before(async () => {
    upstream = await startScriptedUpstream();
  });
  after(() => upstream.stop());
  beforeEach(() => {
    upstream.heal();
    upstream.forget();
  });

  /** An image with one large layer, unlike all others. */
  function addLayer(size = SIZE) {
    const repository = `large/app-${(seed += 1)}`;
    const image = buildImage({ seed: repository, layers: [size], architectures: ['amd64'] });
    upstream.add(image, repository, ['latest']);
    images.set(repository, image);
    const [layer] = platformOf(image, 'amd64').layers;
    assert.ok(layer !== undefined);
    return { repository, layer, path: `/v2/${repository}/blobs/${layer.digest}` };
  }

  const start = (transfer: object = {}, more: object = {}): Promise<Mirror> =>
    startMirror({
      default_registry: 'hub',
      registries: { hub: { upstreams: [{ url: upstream.url }] } },
      transfer: { min_segment: MB, ...transfer },
      ...more,
    });

  /** What ended, as the log tells it. */
  const finished = (mirror: Mirror) => mirror.logged(({ msg }) => msg === 'ingest.finished');
  const bytesOf = (digest: string) => upstream.blobBodies(digest).reduce((sum, { bytes }) => sum + bytes, 0);

  test('comes over several connections where each has a rate of its own', async () => {
    const { layer, path } = addLayer();
    upstream.fault(layer.digest, { bytesPerSecond: RATE });
    await using mirror = await start();
    const { body } = await mirror.get(path);
    assert.ok(body.equals(layer.bytes));
    const { connections, gain, outcome } = await finished(mirror);
    // How many a busy machine gets to is left open.
    assert.ok(Number(connections) >= 2 && Number(connections) <= 4, `${Number(connections)} connections`);
    assert.equal(outcome, 'committed');
    assert.ok(Number(gain) >= 1, `the gain is ${Number(gain)}`);
    // Twelve parts of a MiB at most, and the ends of some: none is cut where the front goes on with it.
    assert.ok(upstream.blobBodies(layer.digest).length <= 18, upstream.journal());
    assert.ok(bytesOf(layer.digest) <= layer.size * 1.05, upstream.journal());
    // From the disk now.
    assert.ok((await mirror.get(path)).body.equals(layer.bytes));
  });

  test('asks for few bytes twice where one connection fills the line', async () => {
    const { layer, path } = addLayer();
    upstream.fault(layer.digest, { line: new Line(4 * MB) });
    await using mirror = await start();
    assert.ok((await mirror.get(path)).body.equals(layer.bytes));
    assert.ok(bytesOf(layer.digest) <= layer.size * 1.05, upstream.journal());
  });

  test('comes over one connection where more are not wanted', async () => {
    for (const transfer of [{ connections: 1 }, { min_segment: 16 * MB }]) {
      const { layer, path } = addLayer(4 * MB);
      upstream.fault(layer.digest, { bytesPerSecond: RATE });
      await using mirror = await start(transfer);
      assert.ok((await mirror.get(path)).body.equals(layer.bytes));
      assert.equal(upstream.blobBodies(layer.digest).length, 1);
    }
  });

  test('comes over one connection where the host stands no more', async () => {
    const { layer, path } = addLayer(4 * MB);
    upstream.fault(layer.digest, { bytesPerSecond: RATE });
    await using mirror = await start({}, { transport: { max_conns_per_host: 2 } });
    assert.ok((await mirror.get(path)).body.equals(layer.bytes));
    assert.equal(upstream.blobBodies(layer.digest).length, 1);
  });

  test('is whole where the upstream sends no parts, which is remembered', async () => {
    const [first, second] = [addLayer(6 * MB), addLayer(6 * MB)];
    for (const { layer } of [first, second]) {
      upstream.fault(layer.digest, { bytesPerSecond: RATE, ignoreRange: true });
    }
    await using mirror = await start();
    assert.ok((await mirror.get(first.path)).body.equals(first.layer.bytes));
    assert.ok((await mirror.get(second.path)).body.equals(second.layer.bytes));
    const asked = [first, second].map(({ layer }) => upstream.blobBodies(layer.digest).length);
    // One part is tried, once.
    assert.ok(
      asked[0] !== undefined && asked[0] <= 2 && asked[1] !== undefined && asked[1] <= 3 - asked[0],
      String(asked),
    );
  });

  for (const [what, fault] of [
    ['is throttled', { status: 429, headers: { 'retry-after': '1' } }],
    ['is refused a connection', { reset: true }],
    ['is answered 500', { status: 500 }],
  ] as const) {
    test(`is whole where a segment ${what}`, async () => {
      const { layer, path } = addLayer(6 * MB);
      upstream.fault(layer.digest, { bytesPerSecond: RATE });
      // The first request is for the whole.
      upstream.fault(layer.digest, { ...fault, after: 1, times: 3 });
      await using mirror = await start();
      const { status, body } = await mirror.get(path);
      assert.equal(status, 200);
      assert.ok(body.equals(layer.bytes));
    });
  }

  test('is whole where segments break off, at any place', async () => {
    const { layer, path } = addLayer(8 * MB);
    upstream.fault(layer.digest, { bytesPerSecond: RATE });
    for (let at = 1; at < 12; at += 1) upstream.fault(layer.digest, { cutAt: at * 700_001, times: 1 });
    await using mirror = await start();
    assert.ok((await mirror.get(path)).body.equals(layer.bytes));
    assert.ok(bytesOf(layer.digest) <= layer.size * 1.1, upstream.journal());
  });

  test('is never complete where a segment lies', async () => {
    const { layer, path } = addLayer(8 * MB);
    upstream.fault(layer.digest, { bytesPerSecond: RATE, flipAt: 5 * MB });
    await using mirror = await start();
    const { body } = await mirror.get(path);
    assert.ok(body.length < layer.size, 'its last byte is held back');
    const { outcome } = await finished(mirror);
    assert.equal(outcome, 'failed');
    upstream.heal();
    assert.ok((await mirror.get(path)).body.equals(layer.bytes));
  });

  test('is read here and there while it comes: every byte is asked for once', async () => {
    const { layer, path, repository } = addLayer(16 * MB);
    upstream.fault(layer.digest, { bytesPerSecond: 4 * MB });
    await using mirror = await start({ connections: 2 });
    // The manifest gives the size.
    await mirror.get(`/v2/${repository}/manifests/latest`, {
      accept: 'application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json',
    });
    const digest = platformOf(images.get(repository) as TestImage, 'amd64').manifest.digest;
    await mirror.get(`/v2/${repository}/manifests/${digest}`);
    const readers = Array.from({ length: 40 }, async (_, at) => {
      const begin = Math.floor((((at * 7919) % 101) / 101) * (layer.size - 65_536));
      const { status, body } = await mirror.get(path, { range: `bytes=${begin}-${begin + 65_535}` });
      assert.equal(status, 206);
      assert.ok(body.equals(layer.bytes.subarray(begin, begin + 65_536)), `at ${begin}`);
    });
    await Promise.all(readers);
    const { outcome } = await finished(mirror);
    assert.equal(outcome, 'committed');
    assert.ok(
      bytesOf(layer.digest) <= layer.size * 1.02,
      `${bytesOf(layer.digest) / layer.size}\n${upstream.journal()}`,
    );
    assert.ok((await mirror.get(path)).body.equals(layer.bytes));
  });

  describe('of a registry that redirects to a signed URL', () => {
    let hub: ScriptedUpstream;
    const credentials = { username: 'me', password: 'correct-horse' };
    before(async () => {
      hub = await startScriptedUpstream({ personality: 'dockerHub', credentials });
    });
    after(() => hub.stop());
    beforeEach(() => {
      hub.heal();
      hub.forget();
    });

    /** A layer that takes some seconds over one connection, and the server in front of it. */
    async function stage() {
      const repository = `signed/app-${(seed += 1)}`;
      const image = buildImage({ seed: repository, layers: [8 * MB], architectures: ['amd64'] });
      hub.add(image, repository, ['latest']);
      const [layer] = platformOf(image, 'amd64').layers;
      assert.ok(layer !== undefined);
      hub.fault(layer.digest, { bytesPerSecond: RATE });
      const mirror = await startMirror({
        default_registry: 'hub',
        registries: { hub: { upstreams: [{ url: hub.url, credentials }] } },
        transfer: { min_segment: MB },
      });
      return { layer, path: `/v2/${repository}/blobs/${layer.digest}`, mirror };
    }

    /** Redirects of the registry to the layer. */
    const signed = (digest: string) => hub.count({ at: 'registry', kind: 'blob', reference: digest, status: 307 });

    test('asks the registry once for all its parts', async () => {
      const { layer, path, mirror } = await stage();
      await using _ = mirror;
      assert.ok((await mirror.get(path)).body.equals(layer.bytes));
      assert.ok(hub.blobBodies(layer.digest).length >= 2, hub.journal());
      assert.equal(signed(layer.digest), 1, hub.journal());
      assert.deepEqual(hub.leaks(), []);
    });

    test('asks the registry once more where the storage refuses the URL', async () => {
      const { layer, path, mirror } = await stage();
      await using _ = mirror;
      hub.fault({ at: 'cdn', kind: 'blob', reference: layer.digest }, { status: 403, after: 1, times: 1 });
      assert.ok((await mirror.get(path)).body.equals(layer.bytes));
      assert.equal(hub.count({ at: 'cdn', reference: layer.digest, status: 403 }), 1, hub.journal());
      assert.equal(signed(layer.digest), 2, hub.journal());
    });

    test('is whole where the storage refuses every URL but the first', async () => {
      const { layer, path, mirror } = await stage();
      await using _ = mirror;
      hub.fault({ at: 'cdn', kind: 'blob', reference: layer.digest }, { status: 403, after: 1 });
      const { status, body } = await mirror.get(path);
      assert.equal(status, 200);
      assert.ok(body.equals(layer.bytes), hub.journal());
    });
  });

  test('shows its connections while it comes', async () => {
    const { layer, path } = addLayer();
    upstream.fault(layer.digest, { bytesPerSecond: RATE });
    await using mirror = await start();
    const whole = mirror.get(path);
    const patience = AbortSignal.timeout(30_000);
    while (((await mirror.app.status()).transfers[0]?.segments ?? 0) < 2)
      await sleep(10, undefined, { signal: patience });
    await whole;
  });
});
