import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type Podman, preparePodman } from '../support/engines.ts';
import { needs, Workspace } from '../support/processes.ts';
import { ORIGINS, type Published, type PullStage, pullTwice, setStage } from '../support/pull-stage.ts';

describe('podman', needs('podman', 'docker-registry', 'skopeo', 'root'), () => {
  for (const origin of ORIGINS) {
    describe(`from ${origin}`, () => {
      let workspace: Workspace;
      let stage: PullStage;
      let podman: Podman;
      before(async () => {
        workspace = await Workspace.open();
        stage = await setStage(workspace, origin);
        podman = await preparePodman(workspace, registriesConf(stage.entrepot.host));
      });
      after(() => workspace.close());

      /** Pulls by this name, twice, and compares the digests podman then tells. */
      async function podmanPullTwice(published: Published, name: string): Promise<void> {
        await pullTwice(stage, {
          published,
          pull: async () => {
            const id = await podman.podman('pull', '--quiet', name);
            assert.equal(`sha256:${id.trim()}`, published.here.config.digest);
            const digests = await podman.podman('image', 'inspect', '--format', '{{json .RepoDigests}}', name);
            assert.ok(digests.includes(published.image.index.digest), digests);
          },
          forget: () => podman.podman('image', 'rm', '--force', name),
        });
      }

      test('registries.conf: Docker Hub has a mirror', async () => {
        await podmanPullTwice(
          await stage.publish('docker.io', 'library/mirrored'),
          'docker.io/library/mirrored:latest',
        );
      });

      test('registries.conf: another registry has a mirror with a prefix', async () => {
        await podmanPullTwice(await stage.publish('ghcr.io', 'owner/mirrored'), 'ghcr.io/owner/mirrored:latest');
      });

      test("by the mirror's name: the default registry", async () => {
        const published = await stage.publish('docker.io', 'library/direct');
        await podmanPullTwice(published, `${stage.entrepot.host}/library/direct:latest`);
      });

      test("by the mirror's name: another registry in the path", async () => {
        const published = await stage.publish('ghcr.io', 'owner/direct');
        await podmanPullTwice(published, `${stage.entrepot.host}/ghcr.io/owner/direct:latest`);
      });

      test('by digest, through the mirror', async () => {
        const published = await stage.publish('ghcr.io', 'owner/pinned');
        await podmanPullTwice(published, `ghcr.io/owner/pinned@${published.image.index.digest}`);
      });

      test('what no upstream has is an error', async () => {
        const { code, stderr } = await podman.attempt('pull', `${stage.entrepot.host}/ghcr.io/owner/missing:latest`);
        assert.notEqual(code, 0);
        assert.match(stderr, /unknown|not found|denied/i);
      });
    });
  }
});

/** Mirrors for two registries, which are themselves out of reach: what is pulled came through the mirror. */
function registriesConf(mirror: string): string {
  const registry = (name: string, location: string): string => `
    [[registry]]
    prefix = "${name}"
    location = "${name}"
    blocked = false
    [[registry.mirror]]
    location = "${location}"
    insecure = true
  `;
  return `
    unqualified-search-registries = []
    ${registry('docker.io', mirror)}
    ${registry('ghcr.io', `${mirror}/ghcr.io`)}
    [[registry]]
    location = "${mirror}"
    insecure = true
  `;
}
