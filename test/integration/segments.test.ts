import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { buildImage, platformOf } from '../support/image.ts';
import { type Mirror, startMirror } from '../support/mirror.ts';
import { type ScriptedUpstream, startScriptedUpstream } from '../support/scripted-upstream.ts';

const MB = 1024 * 1024;
const SIZE = 12 * MB;
/** Of one connection. */
const RATE = 2 * MB;

describe('a large blob', () => {
  let upstream: ScriptedUpstream;
  let seed = 0;

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

  test('comes over several connections where each has its own rate', async () => {
    const { layer, path } = addLayer();
    upstream.fault(layer.digest, { bytesPerSecond: RATE });
    await using mirror = await start();
    const began = performance.now();
    const { body } = await mirror.get(path);
    const seconds = (performance.now() - began) / 1000;
    assert.ok(body.equals(layer.bytes));
    const bodies = upstream.blobBodies(layer.digest);
    console.log(mirror.log.filter((l) => /ingest/.test(l.msg)).map((l) => JSON.stringify(l)).slice(0, 12));
    console.log(seconds, bodies.map((each) => `${each.headers.range} ${each.bytes}`));
  });
});
