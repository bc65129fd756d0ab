import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type DockerEngine, startDockerd } from '../support/engines.ts';
import { platformOf } from '../support/image.ts';
import { needs, Workspace } from '../support/processes.ts';
import { ORIGINS, type Published, type PullStage, pullTwice, setStage } from '../support/pull-stage.ts';

describe('docker', needs('docker', 'dockerd', 'docker-registry', 'skopeo', 'root'), () => {
  for (const origin of ORIGINS) {
    describe(`from ${origin}`, () => {
      let workspace: Workspace;
      let stage: PullStage;
      let engine: DockerEngine;
      before(async () => {
        workspace = await Workspace.open();
        stage = await setStage(workspace, origin);
        engine = await startDockerd(workspace, { mirrors: [stage.entrepot.url], insecure: [stage.entrepot.host] });
      });
      after(() => workspace.close());

      /** Pulls by this name, twice, and compares what Docker then says it has: the index, and the config. */
      async function dockerPullTwice(published: Published, name: string): Promise<void> {
        await pullTwice(stage, {
          published,
          pull: async () => {
            const said = await engine.docker('pull', name);
            assert.match(said, new RegExp(`^Digest: ${published.image.index.digest}$`, 'm'));
            assert.match(said, /^Status: Downloaded newer image/m);
            const id = await engine.docker('image', 'inspect', '--format', '{{.Id}}', name);
            assert.equal(id.trim(), published.here.config.digest);
          },
          forget: () => engine.docker('image', 'rm', '--force', name),
        });
      }

      test('registry-mirrors: an image of Docker Hub, by the name it has there', async () => {
        await dockerPullTwice(await stage.publish('docker.io', 'library/mirrored'), 'mirrored:latest');
      });

      test('registry-mirrors: an image of a user of Docker Hub', async () => {
        await dockerPullTwice(await stage.publish('docker.io', 'someone/mirrored'), 'someone/mirrored:latest');
      });

      test("by the mirror's name: the default registry", async () => {
        const published = await stage.publish('docker.io', 'library/direct');
        await dockerPullTwice(published, `${stage.entrepot.host}/library/direct:latest`);
      });

      test("by the mirror's name: another registry in the path", async () => {
        const published = await stage.publish('ghcr.io', 'owner/direct');
        await dockerPullTwice(published, `${stage.entrepot.host}/ghcr.io/owner/direct:latest`);
      });

      test('by digest', async () => {
        const published = await stage.publish('ghcr.io', 'owner/pinned');
        const name = `${stage.entrepot.host}/ghcr.io/owner/pinned@${published.image.index.digest}`;
        await dockerPullTwice(published, name);
      });

      test('another platform than its own', async () => {
        const published = await stage.publish('docker.io', 'library/foreign');
        const foreign = published.here.architecture === 'arm64' ? 'amd64' : 'arm64';
        const platform = platformOf(published.image, foreign);
        const name = 'foreign:latest';
        await pullTwice(stage, {
          published,
          platforms: [platform],
          pull: async () => {
            await engine.docker('pull', '--platform', `linux/${foreign}`, name);
            const id = await engine.docker('image', 'inspect', '--format', '{{.Id}}', name);
            assert.equal(id.trim(), platform.config.digest);
          },
          forget: () => engine.docker('image', 'rm', '--force', name),
        });
      });

      test('a tag that no upstream has is an error of the registry, told as such', async () => {
        const name = `${stage.entrepot.host}/ghcr.io/owner/direct:missing`;
        await assert.rejects(engine.docker('pull', name), /manifest .*unknown|not found/);
      });
    });
  }
});
