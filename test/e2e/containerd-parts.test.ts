import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { type RunningEntrepot, startEntrepot } from '../support/app.ts';
import { type CountedReads, countReads } from '../support/counting.ts';
import { type Containerd, startContainerd2 } from '../support/engines.ts';
import { needsGoTools } from '../support/go-tools.ts';
import { buildImage, type PlatformImage, platformOf } from '../support/image.ts';
import { needs, Workspace } from '../support/processes.ts';
import { type ScriptedUpstream, startScriptedUpstream } from '../support/scripted-upstream.ts';

const MiB = 1024 * 1024;
/** Parts of a layer, as containerd asks for them. */
const PART = 4 * MiB;
const AT_ONCE = 6;
/** Of one connection to the upstream, so that parts are asked for far ahead of what has come. */
const RATE = 12 * MiB;
const LAYERS = [72 * MiB, 9 * MiB, 2 * MiB, 30_000];

// containerd 2.1 and later can fetch one layer by several requests with Range at once.

describe('containerd that fetches a layer in parts', { ...needs('root'), ...needsGoTools('containerd', 'ctr') }, () => {
  let workspace: Workspace;
  let upstream: ScriptedUpstream;
  let entrepot: RunningEntrepot;
  let reads: CountedReads;
  let containerd: Containerd;
  let here: PlatformImage;
  let hosts: string;

  before(async () => {
    workspace = await Workspace.open();
    upstream = await startScriptedUpstream({ personality: 'dockerHub' });
    workspace.defer(() => upstream.stop());
    const image = buildImage({
      seed: 'in parts',
      layers: LAYERS,
      architectures: [process.arch === 'arm64' ? 'arm64' : 'amd64'],
    });
    here = platformOf(image, process.arch === 'arm64' ? 'arm64' : 'amd64');
    upstream.add(image, 'library/large', ['latest']);
    upstream.fault({ kind: 'blob' }, { bytesPerSecond: RATE });
    reads = countReads(workspace);
    const env = { ...process.env, ...reads.env };
    entrepot = await startEntrepot(workspace, { registries: { 'docker.io': { upstreams: [upstream.url] } } }, { env });
    containerd = await startContainerd2(workspace, { bytes: PART, atOnce: AT_ONCE });
    const { url } = entrepot;
    await workspace.file(
      'certs.d/docker.io/hosts.toml',
      `server = "${url}"\n[host."${url}"]\n  capabilities = ["pull", "resolve"]\n`,
    );
    hosts = workspace.path('certs.d');
  });
  after(() => workspace.close());

  async function pull(): Promise<void> {
    await containerd.ctr(
      'images',
      'pull',
      '--hosts-dir',
      hosts,
      '--snapshotter',
      'native',
      'docker.io/library/large:latest',
    );
    const held = await containerd.content();
    for (const { digest, bytes } of [here.manifest, here.config, ...here.layers]) {
      assert.ok(held.includes(digest), digest);
      const [algorithm = '', hex = ''] = digest.split(':');
      const file = workspace.path('containerd2', 'io.containerd.content.v1.content', 'blobs', algorithm, hex);
      assert.ok(bytes.equals(await readFile(file)), `${digest} is wrong at containerd`);
    }
  }

  /** Requests for parts of a layer, as the server's log has them. */
  const parts = (digest: string) =>
    entrepot
      .accessLog()
      .filter(({ method, path, status }) => method === 'GET' && path.endsWith(digest) && status === 206);

  test('gets the right bytes of a cold image, and the upstream is asked for each byte once', async () => {
    await pull();
    const [large] = here.layers;
    assert.ok(large !== undefined);
    // The first request is for all that follows its first byte; the others begin at a part each.
    assert.ok(parts(large.digest).length >= LAYERS[0]! / PART - 1, `${parts(large.digest).length} parts`);
    const size = [here.config, ...here.layers].reduce((sum, blob) => sum + blob.size, 0);
    const read = await reads.readFrom([upstream]);
    assert.ok(read <= size * 1.02, `${read} bytes were read of ${size}\n${upstream.journal()}`);
  });

  test('gets them again, and the upstream is asked for nothing', async () => {
    await containerd.ctr('images', 'rm', '--sync', 'docker.io/library/large:latest');
    assert.deepEqual(await containerd.content(), []);
    upstream.forget();
    await pull();
    assert.deepEqual(upstream.requests, [], upstream.journal());
  });
});
