import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { type CopyInput, type CopyJob, callControl, controlSocketPath, OPERATIONS } from '../../src/admin/index.ts';
import { copy } from '../../src/cli/commands/carry/copy.ts';
import { digestOf, MEDIA_TYPES } from '../../src/oci/index.ts';
import { attach, attachSbom } from '../support/attached.ts';
import { captureOutput } from '../support/capture-output.ts';
import { type DockerRegistry, sentTo, skopeo, startDockerRegistry } from '../support/engines.ts';
import { buildImage, type TestImage } from '../support/image.ts';
import { type Mirror, startMirror } from '../support/mirror.ts';
import { needs, Workspace } from '../support/processes.ts';

// Hot from cold between two real registries, counted in their own access logs.

interface Stage {
  readonly cold: DockerRegistry;
  readonly hot: DockerRegistry;
  readonly mirror: Mirror;
  readonly image: TestImage;
}

async function stage(t: TestContext): Promise<Stage> {
  const workspace = await Workspace.open();
  t.after(() => workspace.close());
  const [cold, hot] = [await startDockerRegistry(workspace), await startDockerRegistry(workspace)];
  const mirror = await startMirror({
    registries: {
      'cold.example': { upstreams: [{ url: cold.url }] },
      hot: { upstreams: [{ url: hot.url }], push: ['**'] },
      apps: { hosted: true },
    },
  });
  t.after(() => mirror.stop());
  const image = buildImage({ seed: 'hot from cold' });
  await cold.push(image, 'team/app:1');
  return { cold, hot, mirror, image };
}

async function copied({ dir }: Mirror, input: Pick<CopyInput, 'from' | 'to'> & Partial<CopyInput>): Promise<CopyJob> {
  const { output, said } = captureOutput();
  const { platforms = [], allTags = false } = input;
  const surroundings = { output, isTerminal: false, lookEvery: 20 };
  const flags = { cacheDir: dir };
  const options = { flags, json: true, source: input.from, destination: input.to, platform: platforms, allTags };
  const code = await copy(options, surroundings);
  assert.equal(code, 0, said.out + said.err);
  return (JSON.parse(said.out) as { readonly job: CopyJob }).job;
}

async function pull(registry: DockerRegistry, path: string): Promise<Response> {
  const accept = [MEDIA_TYPES.ociIndex, MEDIA_TYPES.ociManifest].join(', ');
  return fetch(`${registry.url}/v2/${path}`, { headers: { accept } });
}

describe('hot from cold', needs('docker-registry', 'skopeo'), () => {
  test('gives the hot registry all of an image, and sends nothing twice', async (t) => {
    const { cold, hot, mirror, image } = await stage(t);
    const job = await copied(mirror, { from: 'cold.example/team/app:1', to: 'hot/team/app:1' });
    const bytes = [...image.manifests, ...image.blobs].reduce((sum, { size }) => sum + size, 0);
    assert.deepEqual(
      [job.counts.done, job.sent, job.bytes, job.size, job.mounted, job.skipped],
      [1, bytes, bytes, bytes, 0, 0],
    );
    const sent = sentTo(hot);
    assert.equal(sent.filter((each) => each.startsWith('POST ')).length, image.blobs.length, sent.join('\n'));
    assert.equal(sent.filter((each) => each.endsWith('/uploads/ID')).length, image.blobs.length, sent.join('\n'));
    assert.deepEqual(
      sent.slice(-image.manifests.length),
      [...image.platforms.map(({ manifest }) => manifest.digest), '1'].map((to) => `PUT /v2/team/app/manifests/${to}`),
    );
    assert.equal((await pull(hot, 'team/app/manifests/1')).headers.get('docker-content-digest'), image.index.digest);
    // The cold registry gave each byte once.
    const given = cold.requests().filter(({ method, path }) => method === 'GET' && path.includes('/blobs/sha256'));
    assert.equal(given.length, image.blobs.length);
    await skopeo('inspect', '--tls-verify=false', '--raw', `docker://${hot.host}/team/app:1`);

    const [before, asked] = [sentTo(hot).length, cold.requests().length];
    const again = await copied(mirror, { from: 'cold.example/team/app:1', to: 'hot/team/app:1' });
    assert.deepEqual([again.sent, again.manifests, again.skipped], [0, 0, image.blobs.length]);
    assert.deepEqual(sentTo(hot).slice(before), []);
    const read = cold.requests().slice(asked);
    assert.deepEqual(
      read.filter(({ method, path }) => method === 'GET' && path.includes('/blobs/')),
      [],
    );
    // A pull through this server finds it at once.
    const pulled = await mirror.get('/hot/v2/team/app/manifests/1');
    assert.equal(pulled.headers['x-cache'], 'HIT');
  });

  test('takes referrers and signatures along, and lists them where the registry does not', async (t) => {
    const { cold, hot, mirror, image } = await stage(t);
    const { sbom, fallbackTag: fallback } = await attachSbom(cold, 'team/app', image.index);
    const signature = await attach(cold, { name: 'team/app', tag: `${fallback}.sig`, more: {} });
    await copied(mirror, { from: 'cold.example/team/app:1', to: 'hot/team/app:1' });
    const sig = await pull(hot, `team/app/manifests/${fallback}.sig`);
    assert.equal(sig.headers.get('docker-content-digest'), digestOf(signature));
    assert.equal((await pull(hot, `team/app/manifests/${digestOf(sbom)}`)).status, 200);
    const found = (await (await pull(hot, `team/app/manifests/${fallback}`)).json()) as {
      readonly manifests: readonly { readonly digest: string }[];
    };
    assert.deepEqual(
      found.manifests.map(({ digest }) => digest),
      [digestOf(sbom)],
    );
    const sent = sentTo(hot);
    assert.equal(sent.at(-1), 'PUT /v2/team/app/manifests/1');
    await copied(mirror, { from: 'cold.example/team/app:1', to: 'hot/team/app:1' });
    assert.deepEqual(sentTo(hot), sent);
  });

  test('mounts within one registry, and links in a hosted repository', async (t) => {
    const { hot, mirror, image } = await stage(t);
    await copied(mirror, { from: 'cold.example/team/app:1', to: 'hot/team/app:1' });
    const before = sentTo(hot).length;
    const beside = await copied(mirror, { from: 'hot/team/app:1', to: 'hot/other/app:2' });
    assert.deepEqual([beside.mounted, beside.skipped], [image.blobs.length, 0]);
    const sent = sentTo(hot).slice(before);
    assert.equal(sent.filter((each) => each.startsWith('POST ')).length, image.blobs.length);
    assert.deepEqual(
      sent.filter((each) => each.includes('uploads/ID')),
      [],
    );

    const own = await copied(mirror, { from: 'cold.example/team/app:1', to: 'apps/app' });
    assert.deepEqual([own.counts.done, own.mounted], [1, image.blobs.length]);
    const pulled = await mirror.get('/apps/v2/app/manifests/1');
    assert.deepEqual([pulled.status, pulled.headers['docker-content-digest']], [200, image.index.digest]);
    const again = await copied(mirror, { from: 'cold.example/team/app:1', to: 'apps/app' });
    assert.deepEqual([again.sent, again.mounted, again.skipped], [0, 0, image.blobs.length]);
  });

  test('gives the tag the one platform that is wanted, and copies every tag', async (t) => {
    const { cold, hot, mirror, image } = await stage(t);
    const amd64 = image.platforms.find(({ architecture }) => architecture === 'amd64');
    await copied(mirror, { from: 'cold.example/team/app:1', to: 'hot/team/app:amd64', platforms: ['linux/amd64'] });
    const tag = await pull(hot, 'team/app/manifests/amd64');
    assert.equal(tag.headers.get('docker-content-digest'), amd64?.manifest.digest);
    const other = buildImage({ seed: 'two' });
    await cold.push(other, 'team/app:2');
    const job = await copied(mirror, { from: 'cold.example/team/app', to: 'hot/team/app', allTags: true });
    assert.equal(job.counts.done, 2);
    for (const [name, { index }] of [
      ['1', image],
      ['2', other],
    ] as const) {
      assert.equal((await pull(hot, `team/app/manifests/${name}`)).headers.get('docker-content-digest'), index.digest);
    }
    const { jobs } = await callControl(controlSocketPath(mirror.dir), OPERATIONS.copyJobs, { input: {} });
    assert.equal(jobs.length, 2);
  });
});
