import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';
import { buildImage, platformOf } from '../support/image.ts';
import { type Mirror, startMirror } from '../support/mirror.ts';
import { Gate, type ScriptedUpstream, startScriptedUpstream } from '../support/scripted-upstream.ts';

const MB = 1024 * 1024;
const SIZE = 24 * MB;

describe('partial content', () => {
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

  function addLayer(size = SIZE) {
    const repository = `large/app-${(seed += 1)}`;
    const image = buildImage({ seed: repository, layers: [size], architectures: ['amd64'] });
    upstream.add(image, repository, ['latest']);
    const [layer] = platformOf(image, 'amd64').layers;
    assert.ok(layer !== undefined);
    return { repository, layer, path: `/v2/${repository}/blobs/${layer.digest}` };
  }

  const start = (dir: string, more: object = {}): Promise<Mirror> =>
    startMirror(
      {
        default_registry: 'hub',
        registries: { hub: { upstreams: [{ url: upstream.url }] } },
        transfer: { min_segment: MB, connections: 1 },
        ...more,
      },
      { dir },
    );

  async function directory(t: { after(clean: () => unknown): void }): Promise<string> {
    const dir = await mkdtemp(join(tmpdir(), 'entrepot-partial-'));
    t.after(() => rm(dir, { recursive: true, force: true }));
    return dir;
  }
  const bytesOf = (digest: string) => upstream.blobBodies(digest).reduce((sum, { bytes }) => sum + bytes, 0);

  test('is continued after a restart: what has come is not asked for again', async (t) => {
    const dir = await directory(t);
    const { layer, path } = addLayer();
    const stallGate = new Gate();
    upstream.fault(layer.digest, { stallAt: 15 * MB, stallGate, times: 1 });
    const first = await start(dir, { timeouts: { shutdown_timeout: '0s' } });
    const cut = first.get(path).catch(() => undefined);
    await stallGate.arrived();
    await first.logged(({ msg }) => msg === 'ingest.started');
    while ([...(await first.app.status()).transfers][0]?.bytes !== 15 * MB) await new Promise((r) => setTimeout(r, 5));
    await first.stop();
    await cut;
    await using second = await start(dir);
    const { status, body } = await second.get(path);
    assert.equal(status, 200);
    assert.ok(body.equals(layer.bytes));
    assert.ok(bytesOf(layer.digest) <= layer.size * 1.02, upstream.journal());
  });
});
