import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { type DockerRegistry, preparePodman, skopeo, startDockerd, startDockerRegistry } from '../support/engines.ts';
import { goTool, needsGoTools } from '../support/go-tools.ts';
import { buildImage, type TestImage, writeOciLayout } from '../support/image.ts';
import { htpasswdOf } from '../support/logins.ts';
import { startMirror } from '../support/mirror.ts';
import { check, needs, Workspace } from '../support/processes.ts';
import { ACCOUNT } from '../support/push-client.ts';
import { type PushStage, pushStage } from '../support/push-stage.ts';
import { PushUpstream } from '../support/push-upstream.ts';

interface Stage extends PushStage {
  readonly workspace: Workspace;
  readonly upstream: DockerRegistry;
  /** `127.0.0.1:PORT` of this server. */
  readonly host: string;
}

/** This server in front of a real registry. No client of these tests can log in, so every client may push. */
async function stage(t: TestContext): Promise<Stage> {
  const workspace = await Workspace.open();
  t.after(() => workspace.close());
  const upstream = await startDockerRegistry(workspace);
  const made = await pushStage(t, {
    upstreams: [{ url: upstream.url }],
    decide: () => ({ allowed: true }),
    world: { on: 'filesystem' },
  });
  return { ...made, workspace, upstream, host: new URL(made.url).host };
}

/** What the first pull of an image is answered from, with the upstream stopped. */
async function assertKept({ ask, upstream }: Stage, repository: string, image: TestImage): Promise<void> {
  await upstream.process.stop();
  const tag = await ask('GET', `/v2/${repository}/manifests/latest`);
  assert.deepEqual([tag.status, tag.headers['x-cache']], [200, 'HIT']);
  assert.equal(tag.headers['docker-content-digest'], image.index.digest);
  for (const { manifest, config, layers } of image.platforms) {
    const child = await ask('GET', `/v2/${repository}/manifests/${manifest.digest}`);
    assert.deepEqual([child.status, child.headers['x-cache']], [200, 'HIT']);
    for (const blob of [config, ...layers]) {
      const pulled = await ask('GET', `/v2/${repository}/blobs/${blob.digest}`);
      assert.deepEqual([pulled.status, pulled.headers['x-cache']], [200, 'HIT']);
      assert.ok(pulled.body.equals(blob.bytes));
    }
  }
}

describe('a push through to docker-registry', needs('docker-registry', 'skopeo'), () => {
  test('by skopeo arrives as it is, is kept, and is mounted in another repository', async (t) => {
    const here = await stage(t);
    const image = buildImage({ seed: 'through' });
    const layout = here.workspace.path('layout');
    await writeOciLayout(layout, { image });
    const push = (name: string) =>
      skopeo(
        'copy',
        '--all',
        '--preserve-digests',
        '--dest-tls-verify=false',
        `oci:${layout}:image`,
        `docker://${here.host}/${name}`,
      );
    await push('ours/app:latest');
    const requests = here.upstream.requests();
    assert.ok(requests.some(({ method, path }) => method === 'PUT' && path === '/v2/ours/app/manifests/latest'));
    const direct = await fetch(`${here.upstream.url}/v2/ours/app/manifests/latest`, {
      headers: { accept: image.index.mediaType },
    });
    assert.equal(direct.headers.get('docker-content-digest'), image.index.digest);
    // A second push sends no layer again: each HEAD reaches the registry.
    const before = here.upstream.requests().length;
    await push('ours/app:latest');
    const again = here.upstream.requests().slice(before);
    assert.ok(again.some(({ method, status }) => method === 'HEAD' && status === 200));
    assert.deepEqual(
      again.filter(({ method }) => method === 'POST' || method === 'PATCH'),
      [],
    );
    await skopeo(
      'copy',
      '--all',
      '--preserve-digests',
      '--src-tls-verify=false',
      '--dest-tls-verify=false',
      `docker://${here.host}/ours/app:latest`,
      `docker://${here.host}/ours/copy:latest`,
    );
    await assertKept(here, 'ours/copy', image);
  });

  test('in chunks out of order keeps its upload, whose state comes back as it was', async (t) => {
    const { ask } = await stage(t);
    const begun = await ask('POST', '/v2/ours/app/blobs/uploads/');
    const first = await ask('PATCH', begun.headers['location'] ?? '', {
      headers: { 'content-range': '0-4' },
      body: Buffer.from('01234'),
    });
    assert.deepEqual([first.status, first.headers['range']], [202, '0-4']);
    const wrong = { headers: { 'content-range': '9-9' }, body: Buffer.from('9') };
    assert.equal((await ask('PATCH', first.headers['location'] ?? '', wrong)).status, 416);
    const status = await ask('GET', first.headers['location'] ?? '');
    assert.deepEqual([status.status, status.headers['range']], [204, '0-4']);
    const digest = 'sha256:84d89877f0d4041efb6bf91a16f0248f2fd573e6af05c19f96bedb9f882f7882';
    const done = await ask('PUT', `${status.headers['location']}&digest=${digest}`, {
      headers: { 'content-range': '5-9' },
      body: Buffer.from('56789'),
    });
    assert.deepEqual([done.status, done.headers['docker-content-digest']], [201, digest]);
    const wrongDigest = await ask('POST', `/v2/ours/app/blobs/uploads/?digest=${digest}`, { body: Buffer.from('x') });
    assert.deepEqual([wrongDigest.status, wrongDigest.code], [400, 'DIGEST_INVALID']);
    assert.equal((await ask('DELETE', `/v2/ours/app/blobs/${digest}`)).status, 202);
    assert.equal((await ask('HEAD', `/v2/ours/app/blobs/${digest}`)).status, 404);
  });
});

describe('podman', needs('podman', 'docker-registry', 'skopeo', 'root'), () => {
  test('pushes through, and pulls what it pushed with the upstream stopped', async (t) => {
    const here = await stage(t);
    const podman = await preparePodman(here.workspace, `[[registry]]\nlocation = "${here.host}"\ninsecure = true\n`);
    const image = buildImage({ seed: 'podman' });
    const layout = here.workspace.path('layout');
    await writeOciLayout(layout, { image });
    const archive = here.workspace.path('image.tar');
    await skopeo('copy', `oci:${layout}:image`, `docker-archive:${archive}:local/image:1`);
    await podman.podman('load', '--quiet', '--input', archive);
    const id = (await podman.podman('images', '--quiet', '--no-trunc')).trim();
    const name = `${here.host}/ours/podman:latest`;
    await podman.podman('push', '--quiet', id, name);
    await podman.podman('image', 'rm', '--force', id);
    await here.upstream.process.stop();
    assert.equal((await podman.podman('pull', '--quiet', name)).trim(), id.replace('sha256:', ''));
  });
});

describe('crane', needsGoTools('crane'), () => {
  test(
    'pushes through, and moves a tag that another client has moved meanwhile',
    needs('docker-registry', 'skopeo'),
    async (t) => {
      const here = await stage(t);
      const [first, second] = [buildImage({ seed: 'first' }), buildImage({ seed: 'second' })];
      await here.upstream.push(first, 'ours/first:latest');
      await here.upstream.push(second, 'ours/second:latest');
      const copy = (from: string) =>
        check([
          goTool('crane'),
          'copy',
          '--insecure',
          `${here.upstream.host}/ours/${from}:latest`,
          `${here.host}/ours/app:latest`,
        ]);
      await copy('first');
      const digest = async () =>
        (await here.ask('GET', '/v2/ours/app/manifests/latest')).headers['docker-content-digest'];
      assert.equal(await digest(), first.index.digest);
      // At the upstream itself: this server does not hear of it. crane pushes nothing where a HEAD says that the tag is right.
      await here.upstream.push(second, 'ours/app:latest');
      await copy('first');
      const direct = await fetch(`${here.upstream.url}/v2/ours/app/manifests/latest`, {
        headers: { accept: first.index.mediaType },
      });
      assert.equal(direct.headers.get('docker-content-digest'), first.index.digest);
      await copy('second');
      assert.equal(await digest(), second.index.digest);
    },
  );
});

describe('docker', needs('dockerd', 'docker', 'skopeo', 'root'), () => {
  test('logs in here and pushes through with the credential of this server, mounts, and pulls with the upstream stopped', async (t) => {
    const workspace = await Workspace.open();
    t.after(() => workspace.close());
    const upstream = await PushUpstream.start({ credentials: ACCOUNT });
    t.after(() => upstream.close());
    const htpasswd = await workspace.file('htpasswd', htpasswdOf('alice'));
    await using mirror = await startMirror({
      registries: {
        'ghcr.io': { upstreams: [{ url: upstream.url, credentials: ACCOUNT }], push: ['ours/**'] },
      },
      access: { htpasswd, rules: [{ who: 'alice', may: ['pull', 'push'], on: ['ghcr.io/ours/**'] }] },
    });
    const engine = await startDockerd(workspace);
    const docker = (...args: string[]): Promise<string> => engine.docker(...args);
    const layout = workspace.path('layout');
    await writeOciLayout(layout, { image: buildImage({ seed: 'docker', architectures: ['amd64'] }) });
    const archive = workspace.path('image.tar');
    const name = (repository: string) => `${mirror.host}/ghcr.io/ours/${repository}:1`;
    await skopeo('copy', `oci:${layout}:image`, `docker-archive:${archive}:${name('app')}`);
    await docker('load', '--quiet', '--input', archive);
    await assert.rejects(docker('push', '--quiet', name('app')), /log in|denied|unauthorized/i);
    assert.equal(upstream.seen.length, 0);
    await docker('login', '--username', 'alice', '--password', 'alice-pw', mirror.host);
    await docker('push', '--quiet', name('app'));
    const uploads = upstream.asked().filter((each) => each.startsWith('PATCH')).length;
    assert.ok(uploads > 0);
    await docker('tag', name('app'), name('copy'));
    await docker('push', '--quiet', name('copy'));
    // The layers of the second repository were mounted from the first; only its config was sent again.
    assert.ok(upstream.seen.some(({ url }) => url.includes('mount=') && url.includes('from=ours/app')));
    assert.ok(upstream.asked().filter((each) => each.startsWith('PATCH')).length <= uploads + 1);
    await docker('image', 'rm', '--force', name('app'), name('copy'));
    await upstream.close();
    await docker('pull', '--quiet', name('app'));
    await docker('pull', '--quiet', name('copy'));
  });
});
