import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type RunningEntrepot, startEntrepot } from '../support/app.ts';
import { preparePodman, startContainerd, startDockerd } from '../support/engines.ts';
import { buildImage, type PlatformImage, platformOf } from '../support/image.ts';
import { type Need, needs, Workspace } from '../support/processes.ts';
import { eventually } from '../support/pull-stage.ts';
import { type ScriptedUpstream, startScriptedUpstream } from '../support/scripted-upstream.ts';

const TEST_CA = fileURLToPath(new URL('../support/tls/ca.pem', import.meta.url));
const pem = (name: string): string => readFileSync(new URL(`../support/tls/${name}.pem`, import.meta.url), 'utf8');

/** A client that pulls an image and forgets it again. */
interface Client {
  pull(name: string, here: PlatformImage): Promise<void>;
  forget(name: string): Promise<unknown>;
}

/** How each is led through a forward proxy: by its environment alone. */
const CLIENTS: Readonly<
  Record<string, { needs: Need[]; start(workspace: Workspace, env: NodeJS.ProcessEnv): Promise<Client> }>
> = {
  dockerd: {
    needs: ['docker', 'dockerd', 'root'],
    async start(workspace, env) {
      const engine = await startDockerd(workspace, { env });
      return {
        async pull(name, here) {
          await engine.docker('pull', name);
          const id = await engine.docker('image', 'inspect', '--format', '{{.Id}}', name);
          assert.equal(id.trim(), here.config.digest);
        },
        forget: (name) => engine.docker('image', 'rm', '--force', name),
      };
    },
  },
  containerd: {
    needs: ['containerd', 'ctr', 'root'],
    async start(workspace, env) {
      const containerd = await startContainerd(workspace, { env });
      return {
        async pull(name, here) {
          await containerd.ctr('images', 'pull', '--snapshotter', 'native', name);
          const held = await containerd.content();
          for (const { digest } of [here.config, ...here.layers]) assert.ok(held.includes(digest), digest);
        },
        forget: (name) => containerd.ctr('images', 'rm', '--sync', name),
      };
    },
  },
  podman: {
    needs: ['podman', 'root'],
    async start(workspace, env) {
      const podman = await preparePodman(workspace, 'unqualified-search-registries = []', { env });
      return {
        async pull(name, here) {
          const id = await podman.podman('pull', '--quiet', name);
          assert.equal(`sha256:${id.trim()}`, here.config.digest);
        },
        forget: (name) => podman.podman('image', 'rm', '--force', name),
      };
    },
  },
};

/**
 * A registry with its own name, `registry.test`, that only the forward proxy can find: a client that pulls from it came through.
 * Its token service and its blobs are on other ports, which a pull must be let through to as well.
 */
async function startRegistry(workspace: Workspace): Promise<{ upstream: ScriptedUpstream; ports: number[] }> {
  const tls = { cert: pem('server'), key: pem('server-key') };
  const upstream = await startScriptedUpstream({ personality: 'dockerHub', tls, host: 'registry.test' });
  workspace.defer(() => upstream.stop());
  const ports = [upstream.url, upstream.realm, upstream.cdnUrl].map((url) => Number(new URL(url).port));
  return { upstream, ports };
}

for (const [kind, client] of Object.entries(CLIENTS)) {
  describe(`${kind} through the forward proxy`, needs(...client.needs), () => {
    for (const mitm of [false, true]) {
      describe(mitm ? 'that looks into tunnels' : 'with plain tunnels', () => {
        const image = buildImage({ seed: `forward/${kind}/${mitm}` });
        const here = platformOf(image, process.arch === 'arm64' ? 'arm64' : 'amd64');
        const blobs = [here.config, ...here.layers].map(({ digest }) => digest).sort();
        let workspace: Workspace;
        let upstream: ScriptedUpstream;
        let entrepot: RunningEntrepot;
        let pulling: Client;
        let name: string;
        before(async () => {
          workspace = await Workspace.open();
          const registry = await startRegistry(workspace);
          upstream = registry.upstream;
          upstream.add(image, 'owner/app', ['latest']);
          name = `${upstream.host}/owner/app:latest`;
          entrepot = await startEntrepot(workspace, {
            registries: { [upstream.host]: { upstreams: [upstream.url] } },
            transport: { ca_file: TEST_CA, dns: { hosts: { 'registry.test': '127.0.0.1' } } },
            forward_proxy: {
              enabled: true,
              allowed_hosts: ['registry.test'],
              allow_private: ['registry.test'],
              ports: registry.ports,
              user: 'ship',
              password: 's3cret',
              mitm: { enabled: mitm },
            },
          });
          const proxy = `http://ship:s3cret@${entrepot.host}`;
          pulling = await client.start(workspace, {
            HTTPS_PROXY: proxy,
            HTTP_PROXY: proxy,
            NO_PROXY: '',
            // It takes the place of the system's authorities, so what is trusted here is this one alone.
            SSL_CERT_FILE: mitm ? `${entrepot.dir}/ca/ca.crt` : TEST_CA,
          });
        });
        after(() => workspace.close());

        const bodies = (): string[] =>
          upstream
            .blobBodies()
            .map(({ reference }) => reference ?? '')
            .sort();

        test('cold', async () => {
          await pulling.pull(name, here);
          assert.deepEqual(bodies(), blobs, upstream.journal());
          assert.deepEqual(upstream.leaks(), []);
          await eventually(() => {
            const lines = entrepot.logs().filter(({ msg }) => msg === 'request');
            if (mitm) assert.ok(lines.some((line) => line['entrance'] === 'mitm' && line['cache'] === 'MISS'));
            else assert.ok(lines.some((line) => line['route'] === 'tunnel' && line['status'] === 200));
          });
        });

        test(mitm ? 'warm: nothing leaves the registry' : 'again: a tunnel keeps nothing', async () => {
          await pulling.forget(name);
          upstream.forget();
          const before = entrepot.logs().length;
          await pulling.pull(name, here);
          assert.deepEqual(bodies(), mitm ? [] : blobs, upstream.journal());
          if (!mitm) return;
          await eventually(() => {
            const hits = entrepot
              .logs()
              .slice(before)
              .filter(
                (line) =>
                  line['entrance'] === 'mitm' && line['cache'] === 'HIT' && String(line['path']).includes('/blobs/'),
              );
            assert.deepEqual(hits.map((line) => String(line['path']).split('/').at(-1) ?? '').sort(), blobs);
          });
        });

        test('a host that is not allowed is refused', async () => {
          await assert.rejects(
            pulling.pull(`other.test:${upstream.host.split(':')[1]}/owner/app:latest`, here),
            /403|Forbidden/i,
          );
        });

        test('no password is in the log', () => {
          assert.ok(!entrepot.process.output().includes('s3cret'));
        });
      });
    }
  });
}
