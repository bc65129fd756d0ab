import assert from 'node:assert/strict';
import { rm } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { type Containerd, startContainerd } from '../support/engines.ts';
import type { PlatformImage } from '../support/image.ts';
import { needs, Workspace } from '../support/processes.ts';
import { ORIGINS, type Published, type PullStage, pullTwice, setStage } from '../support/pull-stage.ts';

describe('containerd', needs('containerd', 'ctr', 'docker-registry', 'skopeo', 'root'), () => {
  for (const origin of ORIGINS) {
    describe(`from ${origin}`, () => {
      let workspace: Workspace;
      let stage: PullStage;
      let containerd: Containerd;
      before(async () => {
        workspace = await Workspace.open();
        stage = await setStage(workspace, origin);
        containerd = await startContainerd(workspace);
      });
      after(() => workspace.close());

      /** Replaces certs.d, with one host's hosts.toml. */
      async function hosts(host: string, toml: string): Promise<string> {
        await rm(workspace.path('certs.d'), { recursive: true, force: true });
        await workspace.file(`certs.d/${host}/hosts.toml`, toml);
        return workspace.path('certs.d');
      }

      interface CtrPull {
        readonly name?: string;
        readonly flags: readonly string[];
        readonly platforms?: readonly PlatformImage[];
      }

      /** Pulls twice and compares what the content store then holds. */
      async function ctrPullTwice(
        published: Published,
        { name = published.name, flags, platforms }: CtrPull,
      ): Promise<void> {
        const wanted = platforms ?? [published.here];
        await pullTwice(stage, {
          published,
          platforms: wanted,
          pull: async () => {
            // No unpacking needs an overlay: `native` copies.
            await containerd.ctr('images', 'pull', '--snapshotter', 'native', ...flags, name);
            const held = await containerd.content();
            const expected = wanted.flatMap(({ manifest, config, layers }) => [manifest, config, ...layers]);
            for (const { digest } of [published.image.index, ...expected]) assert.ok(held.includes(digest), digest);
          },
          forget: async () => {
            await containerd.ctr('images', 'rm', '--sync', name);
            const held = await containerd.content();
            assert.ok(!held.includes(published.here.config.digest), 'the garbage was collected');
          },
        });
      }

      /** Namespaces the server was told, in order, without repetition. */
      function namespaces(published: Published): string[] {
        const requests = stage.entrepot.accessLog().filter((line) => line.repository === published.repository);
        return [...new Set(requests.map((line) => line.registry ?? ''))];
      }

      test('docker.io in hosts.toml', async () => {
        const published = await stage.publish('docker.io', 'library/by-hosts');
        const dir = await hosts('docker.io', hostsToml(stage.entrepot.url));
        await ctrPullTwice(published, { flags: ['--hosts-dir', dir] });
      });

      test('ghcr.io in hosts.toml: ?ns= says which registry is meant', async () => {
        // The same repository exists at the default registry, so that a mirror that ignores ?ns= is found out.
        await stage.publish('docker.io', 'owner/by-hosts');
        const published = await stage.publish('ghcr.io', 'owner/by-hosts');
        const dir = await hosts('ghcr.io', hostsToml(stage.entrepot.url));
        await ctrPullTwice(published, { flags: ['--hosts-dir', dir] });
        assert.deepEqual(namespaces(published), ['ghcr.io']);
      });

      test('_default: every registry leads here', async () => {
        const dir = await hosts('_default', hostsToml(stage.entrepot.url));
        for (const registry of ['docker.io', 'ghcr.io'] as const) {
          const published = await stage.publish(registry, 'owner/by-default');
          await ctrPullTwice(published, { flags: ['--hosts-dir', dir] });
        }
      });

      test('an alias in front of the API, with override_path', async () => {
        const published = await stage.publish('ghcr.io', 'owner/by-alias');
        // The name is the mirror's own, so there is no ?ns=: the alias alone tells which registry is meant.
        const { host, url } = stage.entrepot;
        const dir = await hosts(host, hostsToml(`${url}/ghcr/v2`, 'override_path = true'));
        const flags = ['--hosts-dir', dir, '--plain-http'];
        await ctrPullTwice(published, { name: `${host}/owner/by-alias:latest`, flags });
        const paths = stage.entrepot.accessLog().map((line) => line.path);
        assert.ok(
          paths.some((path) => path.startsWith('/ghcr/v2/owner/by-alias/blobs/')),
          paths.join('\n'),
        );
      });

      test("by the mirror's name: another registry in the path", async () => {
        const published = await stage.publish('ghcr.io', 'owner/direct');
        const name = `${stage.entrepot.host}/ghcr.io/owner/direct:latest`;
        await ctrPullTwice(published, { name, flags: ['--plain-http'] });
      });

      test('every platform at once', async () => {
        const published = await stage.publish('docker.io', 'library/all-platforms');
        const dir = await hosts('docker.io', hostsToml(stage.entrepot.url));
        const { platforms } = published.image;
        await ctrPullTwice(published, { flags: ['--hosts-dir', dir, '--all-platforms'], platforms });
      });

      test('a registry the server does not know is refused', async () => {
        const dir = await hosts('_default', hostsToml(stage.entrepot.url));
        const pull = containerd.ctr('images', 'pull', '--hosts-dir', dir, 'registry.example/owner/app:latest');
        await assert.rejects(pull, /not found/);
      });
    });
  }
});

/** A hosts.toml that leads to one mirror and nowhere else: `server`, the last resort, is the mirror too. */
function hostsToml(url: string, extra = ''): string {
  return `server = "${url}"\n${extra}\n[host."${url}"]\n  capabilities = ["pull", "resolve"]\n  ${extra}\n`;
}
