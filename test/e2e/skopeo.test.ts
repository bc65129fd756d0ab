import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { rollback } from '../../src/cli/commands/cache/rollback.ts';
import { unhold } from '../../src/cli/commands/cache/unhold.ts';
import { captureOutput } from '../support/capture-output.ts';
import { inDirectory, skopeoPull } from '../support/engines.ts';
import { buildImage, type TestImage } from '../support/image.ts';
import { startMirror } from '../support/mirror.ts';
import { check, needs, Workspace } from '../support/processes.ts';
import { ORIGINS, type Published, type PullStage, pullTwice, setStage } from '../support/pull-stage.ts';
import { rawRequest } from '../support/raw-request.ts';
import { PERSONALITIES } from '../support/scripted/personality.ts';
import { startScriptedUpstream } from '../support/scripted-upstream.ts';

describe('skopeo', needs('skopeo', 'docker-registry'), () => {
  test('takes a scripted Docker Hub for a registry, with nothing in between', async () => {
    await using workspace = await Workspace.open();
    for (const personality of ['plain', 'dockerHub', 'quay', 'k8s'] as const) {
      assert.ok(personality in PERSONALITIES);
      await using upstream = await startScriptedUpstream({ personality });
      const image = buildImage({ format: personality === 'k8s' ? 'oci' : 'docker' });
      upstream.add(image, 'library/app', ['latest']);
      const name = `${upstream.host}/library/app:latest`;
      await assertCopied(await skopeoPull(workspace, { name, into: personality }), image);
      assert.deepEqual(upstream.leaks(), []);
    }
  });

  test('copies a held tag at the digest of its hold, also while its upstream is down', async () => {
    await using workspace = await Workspace.open();
    await using upstream = await startScriptedUpstream();
    await using mirror = await startMirror({
      cache: { tags: { fresh_for: '0s' } },
      registries: { up: { upstreams: [upstream.url] } },
    });
    const [old, moved] = ['old', 'moved'].map((seed) => buildImage({ seed })) as [TestImage, TestImage];
    const name = `${mirror.host}/up/team/app:latest`;
    for (const image of [old, moved]) {
      upstream.add(image, 'team/app', ['latest']);
      await assertCopied(await skopeoPull(workspace, { name, into: image.index.digest.slice(7) }), image);
    }
    const { output, said } = captureOutput();
    const held = `up/team/app:latest@${old.index.digest}`;
    assert.equal(await rollback({ flags: { cacheDir: mirror.dir }, image: held }, output), 0, said.err);
    const heal = upstream.fault({}, { status: 503 });
    await assertCopied(await skopeoPull(workspace, { name, into: 'held' }), old);
    heal();
    assert.equal(await unhold({ flags: { cacheDir: mirror.dir }, image: 'up/team/app' }, output), 0, said.err);
    await assertCopied(await skopeoPull(workspace, { name, into: 'unheld' }), moved);
  });

  for (const origin of ORIGINS) {
    describe(`from ${origin}`, () => {
      let workspace: Workspace;
      let stage: PullStage;
      before(async () => {
        workspace = await Workspace.open();
        stage = await setStage(workspace, origin, { config: { domain_suffix: 'mirror.test' } });
      });
      after(() => workspace.close());

      /** Copies every platform, twice, under a name made of the server's address. */
      async function copyTwice(published: Published, name: string): Promise<void> {
        await pullTwice(stage, {
          published,
          platforms: published.image.platforms,
          pull: async () => assertCopied(await skopeoPull(workspace, { name, into: 'copy' }), published.image),
          // Each copy goes to a fresh directory.
          forget: async () => undefined,
        });
      }

      test('a bare name means the default registry', async () => {
        const published = await stage.publish('docker.io', 'library/bare');
        await copyTwice(published, `${stage.entrepot.host}/library/bare:latest`);
      });

      test('a one-word name gets library/', async () => {
        const published = await stage.publish('docker.io', 'library/oneword');
        await copyTwice(published, `${stage.entrepot.host}/oneword:latest`);
      });

      test('the default registry may be named in the path too', async () => {
        const published = await stage.publish('docker.io', 'library/named');
        await copyTwice(published, `${stage.entrepot.host}/docker.io/library/named:latest`);
      });

      test('the path names another registry', async () => {
        const published = await stage.publish('ghcr.io', 'owner/by-path');
        await copyTwice(published, `${stage.entrepot.host}/ghcr.io/owner/by-path:latest`);
      });

      test('a digest is a name', async () => {
        const published = await stage.publish('ghcr.io', 'owner/by-digest');
        const { digest } = published.image.index;
        await copyTwice(published, `${stage.entrepot.host}/ghcr.io/owner/by-digest@${digest}`);
      });

      describe('by host name', needs('unshare', 'root'), () => {
        for (const host of ['ghcr.mirror.test', 'ghcr.io.mirror.test', 'ghcr.io']) {
          test(`${host} means ghcr.io`, async () => {
            const published = await stage.publish('ghcr.io', `owner/at-${host}`);
            await pullTwice(stage, {
              published,
              platforms: published.image.platforms,
              pull: async () => {
                const name = `${host}:${stage.entrepot.port}/${published.repository}:latest`;
                await assertCopied(await copyByHostName(workspace, { host, name }), published.image);
              },
              forget: async () => undefined,
            });
          });
        }

        test('the bare suffix means the default registry', async () => {
          const published = await stage.publish('docker.io', 'library/at-suffix');
          await pullTwice(stage, {
            published,
            platforms: published.image.platforms,
            pull: async () => {
              const name = `mirror.test:${stage.entrepot.port}/at-suffix:latest`;
              await assertCopied(await copyByHostName(workspace, { host: 'mirror.test', name }), published.image);
            },
            forget: async () => undefined,
          });
        });
      });

      test('an alias may stand in front of the API', async () => {
        // skopeo takes no path before /v2/; containerd does, and pulls this way in its own tests.
        const { image } = await stage.publish('ghcr.io', 'owner/by-alias');
        const path = `/ghcr/v2/owner/by-alias/manifests/${image.index.digest}`;
        const manifest = await rawRequest(stage.entrepot.host, { path });
        assert.equal(manifest.status, 200);
        assert.ok(manifest.body.equals(image.index.bytes));
        assert.equal(manifest.headers['docker-content-digest'], image.index.digest);
        assert.equal((await rawRequest(stage.entrepot.host, { path: '/ghcr/v2/' })).status, 200);
      });

      test('lists the tags of another registry', async () => {
        await stage.publish('ghcr.io', 'owner/listed');
        const name = `docker://${stage.entrepot.host}/ghcr.io/owner/listed`;
        const listed = JSON.parse(await check(['skopeo', 'list-tags', '--tls-verify=false', name])) as {
          Tags: string[];
        };
        assert.deepEqual(listed.Tags, ['latest']);
      });

      test('what no upstream has is an error, not a wrong image', async () => {
        const name = `docker://${stage.entrepot.host}/ghcr.io/owner/missing:latest`;
        await assert.rejects(
          check(['skopeo', 'inspect', '--raw', '--tls-verify=false', name]),
          /unknown|not found|denied/i,
        );
      });
    });
  }
});

/** Asserts that a `dir:` copy is the image, byte for byte, manifests of every platform included. */
async function assertCopied(directory: string, image: TestImage): Promise<void> {
  const index = await readFile(`${directory}/manifest.json`);
  assert.ok(index.equals(image.index.bytes), 'the index is the one that was published');
  for (const { manifest, config, layers } of image.platforms) {
    assert.ok((await readFile(inDirectory(directory, manifest.digest).manifest)).equals(manifest.bytes));
    for (const blob of [config, ...layers]) {
      assert.ok((await readFile(inDirectory(directory, blob.digest).blob)).equals(blob.bytes), blob.digest);
    }
  }
}

/**
 * Copies by a host name that leads to this machine: skopeo runs in a mount namespace of its own, in which /etc/hosts
 * says so, and nothing outside notices.
 */
async function copyByHostName(workspace: Workspace, { host, name }: { host: string; name: string }): Promise<string> {
  const hosts = await workspace.file('hosts', `127.0.0.1 localhost ${host}\n`);
  const directory = workspace.path('copy');
  const script =
    'rm -rf "$3"; mount --bind "$1" /etc/hosts && exec skopeo copy --all --preserve-digests --src-tls-verify=false "docker://$2" "dir:$3"';
  await check(['unshare', '--mount', 'sh', '-c', script, 'sh', hosts, name, directory]);
  return directory;
}
