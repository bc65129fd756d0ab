import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { buildImage, type Content, platformOf } from '../support/image.ts';
import { type Mirror, startMirror } from '../support/mirror.ts';
import { type Fault, Line, type ScriptedUpstream, startScriptedUpstream } from '../support/scripted-upstream.ts';

const MB = 1024 * 1024;
const SIZE = 12 * MB;
/** Of one connection. */
const RATE = 2 * MB;

describe('a large blob that two upstreams have', () => {
  let hub: ScriptedUpstream;
  let mirror: ScriptedUpstream;
  let seed = 0;

  before(async () => {
    [hub, mirror] = await Promise.all([startScriptedUpstream(), startScriptedUpstream()]);
  });
  after(() => Promise.all([hub.stop(), mirror.stop()]));
  beforeEach(() => {
    for (const each of [hub, mirror]) {
      each.heal();
      each.forget();
    }
  });

  /** A layer, unlike all others, that comes slowly from both, and in its own way from the second. */
  function addLayer(of: { readonly size?: number; readonly second?: Fault; readonly hub?: Fault } = {}) {
    const { size = SIZE, second = {} } = of;
    const repository = `several/app-${(seed += 1)}`;
    const image = buildImage({ seed: repository, layers: [size], architectures: ['amd64'] });
    const [layer] = platformOf(image, 'amd64').layers;
    assert.ok(layer !== undefined);
    for (const each of [hub, mirror]) each.add(image, repository, ['latest']);
    hub.fault(layer.digest, { bytesPerSecond: RATE, ...of.hub });
    mirror.fault(layer.digest, { bytesPerSecond: RATE, ...second });
    return { repository, layer, path: `/v2/${repository}/blobs/${layer.digest}` };
  }

  interface Given {
    readonly transfer?: object;
    readonly second?: object;
    readonly first?: object;
    readonly more?: object;
    /** The second upstream, where it is another one. */
    readonly url?: string;
  }

  const start = ({
    transfer = {},
    first = {},
    second = {},
    more = {},
    url = mirror.url,
  }: Given = {}): Promise<Mirror> =>
    startMirror({
      default_registry: 'two',
      registries: {
        two: {
          upstreams: [
            { url: hub.url, name: 'hub', ...first },
            { url, name: 'mirror', ...second },
          ],
        },
      },
      transfer: { min_segment: MB, ...transfer },
      ...more,
    });

  /** What ended, as the log tells it. */
  const finished = (server: Mirror) => server.logged(({ msg }) => msg === 'ingest.finished');
  const bytesOf = (upstream: ScriptedUpstream, { digest }: Content) =>
    upstream.blobBodies(digest).reduce((sum, { bytes }) => sum + bytes, 0);
  const asked = (upstream: ScriptedUpstream, { digest }: Content) => upstream.blobBodies(digest).length;

  async function assertRight(server: Mirror, { layer, path }: { readonly layer: Content; readonly path: string }) {
    const { status, body } = await server.get(path);
    assert.equal(status, 200);
    assert.ok(body.equals(layer.bytes), `${body.length} of ${layer.size} bytes`);
  }

  test('comes from both, each byte once', async () => {
    const blob = addLayer();
    await using server = await start();
    await assertRight(server, blob);
    const { outcome, upstreams, upstream } = await finished(server);
    assert.equal(outcome, 'committed');
    assert.equal(upstream, 'hub');
    const { hub: one = 0, mirror: other = 0 } = upstreams as Record<string, number>;
    assert.equal(one + other, blob.layer.size);
    assert.ok(one > MB && other > MB, `${one} and ${other}`);
    const sum = bytesOf(hub, blob.layer) + bytesOf(mirror, blob.layer);
    assert.ok(sum <= blob.layer.size * 1.1, `${sum / blob.layer.size}\n${hub.journal()}\n${mirror.journal()}`);
    const metrics = (await server.get('/metrics')).body.toString();
    assert.match(
      metrics,
      new RegExp(`entrepot_ingest_split_bytes_total\\{registry="two",upstream="mirror"\\} ${other}`),
    );
    // From the disk now.
    await assertRight(server, blob);
  });

  test('comes twice as fast where the whole line of the first is full', async () => {
    const blob = addLayer({
      hub: { bytesPerSecond: 64 * MB, line: new Line(3 * MB) },
      second: { bytesPerSecond: 3 * MB },
    });
    await using server = await start();
    await assertRight(server, blob);
    const { upstreams } = await finished(server);
    const { mirror: other = 0 } = upstreams as Record<string, number>;
    assert.ok(other > 3 * MB, String(other));
  });

  for (const [what, second, most] of [
    ['lacks it', { status: 404 }, 1],
    ['throttles', { status: 429, headers: { 'retry-after': '1' } }, 1],
    ['forbids it', { status: 403 }, 2],
    ['refuses connections', { reset: true }, 12],
    ['ignores Range', { ignoreRange: true }, 1],
  ] as const) {
    test(`comes from the first where the second ${what}, which gets no further question`, async () => {
      const blob = addLayer({ second });
      await using server = await start();
      await assertRight(server, blob);
      const { upstreams, connections, outcome } = await finished(server);
      assert.equal(outcome, 'committed');
      assert.deepEqual(upstreams, { hub: blob.layer.size });
      const questions = mirror.count({ kind: 'blob' });
      assert.ok(questions >= 1 && questions <= most, mirror.journal());
      // The growth of the transfer goes on without it.
      assert.ok(Number(connections) >= 2, String(connections));
      assert.ok(asked(hub, blob.layer) > 1, hub.journal());
    });
  }

  test('comes from the first where the second is much slower, which is left', async () => {
    const blob = addLayer({ second: { bytesPerSecond: MB / 8 } });
    await using server = await start();
    await assertRight(server, blob);
    const { upstreams } = await finished(server);
    const { mirror: slow = 0 } = upstreams as Record<string, number>;
    assert.ok(slow < MB, String(slow));
    assert.equal(asked(mirror, blob.layer), 1, mirror.journal());
  });

  test('comes from the first where the second stalls', async () => {
    const blob = addLayer({ second: { stallAt: 3 * MB } });
    await using server = await start();
    const began = performance.now();
    await assertRight(server, blob);
    // Much less than the deadline of a body.
    assert.ok(performance.now() - began < 20_000);
  });

  test('comes from both where the first is much slower', async () => {
    const blob = addLayer({ hub: { bytesPerSecond: MB / 4 }, second: { bytesPerSecond: 4 * MB } });
    await using server = await start();
    const began = performance.now();
    await assertRight(server, blob);
    const seconds = (performance.now() - began) / 1000;
    assert.ok(seconds < 24, `${seconds} s; the first alone takes 48`);
  });

  test('comes from both where the second cuts, at any place', async () => {
    const blob = addLayer();
    for (let at = 1; at < 16; at += 1) mirror.fault(blob.layer.digest, { cutAt: at * 700_001, times: 1 });
    await using server = await start();
    await assertRight(server, blob);
    assert.equal((await finished(server))['outcome'], 'committed');
  });

  test('asks the second for a token of its own', async () => {
    await using other = await startScriptedUpstream({ personality: 'dockerHub' });
    const blob = addLayer();
    other.addBlob(blob.repository, blob.layer);
    other.fault(blob.layer.digest, { bytesPerSecond: RATE });
    await using server = await start({ url: other.url });
    await assertRight(server, blob);
    const { upstreams } = await finished(server);
    const { mirror: bytes = 0 } = upstreams as Record<string, number>;
    assert.ok(bytes > MB, String(bytes));
    assert.ok(other.count({ at: 'token' }) >= 1);
    assert.deepEqual(other.leaks(), []);
  });

  test('is asked of an upstream with `connections: 1` only from the front on', async () => {
    const blob = addLayer();
    await using server = await start({ second: { transfer: { connections: 1 } } });
    await assertRight(server, blob);
    assert.equal(asked(mirror, blob.layer), 0);
    assert.ok(asked(hub, blob.layer) > 1);

    const another = addLayer();
    await using reversed = await start({ first: { transfer: { connections: 1 } } });
    await assertRight(reversed, another);
    assert.ok(asked(mirror, another.layer) >= 1, mirror.journal());
    const parts = hub.blobBodies(another.layer.digest);
    // The front alone: one request at a time, none for a part ahead.
    assert.ok(parts.length >= 1);
    const { upstreams } = await finished(reversed);
    assert.deepEqual(Object.keys(upstreams as object).sort(), ['hub', 'mirror']);

    // Where the first lacks it, the second is the front.
    const lacking = addLayer({ hub: { status: 404 } });
    await assertRight(server, lacking);
    assert.equal(asked(mirror, lacking.layer), 1, mirror.journal());
  });

  test('comes over one connection where nothing is kept', async () => {
    const blob = addLayer({ size: 4 * MB });
    await using server = await start({ more: { cache: 'off' } });
    await assertRight(server, blob);
    assert.equal(asked(hub, blob.layer), 1);
    assert.equal(asked(mirror, blob.layer), 0);
  });

  test('shows what each upstream does while it comes', async () => {
    const blob = addLayer();
    await using server = await start();
    const whole = server.get(blob.path);
    const patience = AbortSignal.timeout(30_000);
    const shown = async () => (await server.app.status()).transfers[0]?.upstreams ?? [];
    for (let each = await shown(); !each.some(({ upstream }) => upstream === 'mirror'); each = await shown()) {
      await sleep(10, undefined, { signal: patience });
    }
    const rows = await shown();
    assert.deepEqual(rows.map(({ upstream }) => upstream).sort(), ['hub', 'mirror']);
    assert.ok(rows.every(({ connections }) => connections >= 1));
    await whole;
  });

  test('is right where the second lies ahead of every client: what it sent is fetched again, and it is given up', async () => {
    const blob = addLayer({ second: { flipAt: 11 * MB } });
    await using server = await start();
    const { status, body } = await server.get(blob.path);
    const { outcome, upstreams } = await finished(server);
    const lied = (upstreams as Record<string, number>)['mirror'] !== undefined;
    assert.equal(status, 200);
    assert.equal(outcome, 'committed');
    assert.ok(lied);
    // The client may have been ahead of the wrong byte: then it was cut.
    assert.ok(body.equals(blob.layer.bytes) || body.length < blob.layer.size);
    await assertRight(server, blob);
  });
});
