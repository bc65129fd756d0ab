import assert from 'node:assert/strict';
import { mkdir, readFile, rm } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { parse as parseToml } from 'smol-toml';
import { parseAllDocuments, parse as parseYaml } from 'yaml';
import * as z from 'zod';
import { ENTREPOT, startEntrepot } from '../support/app.ts';
import { makeCertificate } from '../support/certificates.ts';
import { type DockerEngine, type Podman, preparePodman, startContainerd, startDockerd } from '../support/engines.ts';
import { check, needs, run, Workspace } from '../support/processes.ts';
import { type Published, type PullStage, pullTwice, setStage } from '../support/pull-stage.ts';

/** Runs `entrepot setup` as a user does. */
function setup(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<string> {
  return check([ENTREPOT, 'setup', ...args], { env: { ...process.env, ...env } });
}

describe('entrepot setup', () => {
  let workspace: Workspace;
  before(async () => {
    workspace = await Workspace.open();
  });
  after(() => workspace.close());

  describe('docker', needs('docker', 'dockerd', 'root'), () => {
    const BEFORE = '{\n    "max-concurrent-downloads": 2,\r\n    "debug": false}\n';
    let stage: PullStage;
    let engine: DockerEngine;
    let root: string;
    before(async () => {
      stage = await setStage(workspace, 'scripted registries');
      root = workspace.path('docker-root');
      const configFile = await workspace.file('docker-root/etc/docker/daemon.json', BEFORE);
      await setup(['docker', '--root', root, '--server', stage.entrepot.url, '--apply']);
      engine = await startDockerd(workspace, { configFile });
    });

    test('dockerd starts with the file, and pulls through the server', async () => {
      const published = await stage.publish('docker.io', 'library/set-up');
      await pullTwice(stage, {
        published,
        pull: async () => {
          await engine.docker('pull', 'set-up:latest');
          assert.equal(
            (await engine.docker('image', 'inspect', '--format', '{{.Id}}', 'set-up:latest')).trim(),
            published.here.config.digest,
          );
        },
        forget: () => engine.docker('image', 'rm', '--force', 'set-up:latest'),
      });
    });

    test('--undo brings back every byte', async () => {
      await setup(['docker', '--root', root, '--undo']);
      assert.equal(await readFile(`${root}/etc/docker/daemon.json`, 'utf8'), BEFORE);
    });
  });

  describe('docker with a private authority', needs('docker', 'dockerd', 'unshare', 'openssl', 'root'), () => {
    test('dockerd trusts the certificate that it is given', async () => {
      await using own = await Workspace.open();
      const { caFile, certFile, keyFile } = await makeCertificate(own, 'm');
      const stage = await setStage(own, 'scripted registries', {
        config: { listen: [{ address: '127.0.0.1:0', tls: { cert_file: certFile, key_file: keyFile } }] },
      });
      const root = own.path('root');
      await mkdir(root);
      await setup(['docker', '--root', root, '--server', `https://${stage.entrepot.host}`, '--ca', caFile, '--apply']);
      // dockerd looks for certificates in /etc/docker alone: it gets a view of the machine in which that is ours.
      await mkdir('/etc/docker', { recursive: true });
      const engine = await startDockerd(own, {
        configFile: `${root}/etc/docker/daemon.json`,
        before: ['unshare', '--mount', 'sh', '-c', 'mount --bind "$0" /etc/docker && exec "$@"', `${root}/etc/docker`],
      });
      const published = await stage.publish('docker.io', 'library/trusted');
      await engine.docker('pull', 'trusted:latest');
      const id = await engine.docker('image', 'inspect', '--format', '{{.Id}}', 'trusted:latest');
      assert.equal(id.trim(), published.here.config.digest);
    });
  });

  describe('containerd', needs('containerd', 'ctr', 'root'), () => {
    test('reads the directory by its config_path, and pulls through the server', async () => {
      const stage = await setStage(workspace, 'scripted registries');
      const root = workspace.path('containerd-root');
      const before = '# mine\nversion = 2\n[plugins."io.containerd.grpc.v1.cri"]\n  sandbox_image = "pause" # kept\n';
      const config = await workspace.file('containerd-root/etc/containerd/config.toml', before);
      await setup(['containerd', '--root', root, '--server', stage.entrepot.url, '--apply']);
      const dump = parseToml(await check(['containerd', '--config', config, 'config', 'dump']));
      const plugin = z
        .looseObject({ plugins: z.record(z.string(), z.looseObject({ registry: z.looseObject({}).optional() })) })
        .parse(dump).plugins;
      const paths = Object.values(plugin).flatMap(({ registry }) => registry?.['config_path'] ?? []);
      assert.deepEqual(paths, ['/etc/containerd/certs.d']);

      const containerd = await startContainerd(workspace);
      const published = await stage.publish('ghcr.io', 'owner/set-up');
      const hosts = ['--snapshotter', 'native', '--hosts-dir', `${root}/etc/containerd/certs.d`];
      await pullTwice(stage, {
        published,
        pull: () => containerd.ctr('images', 'pull', ...hosts, published.name).then(() => undefined),
        forget: () => containerd.ctr('images', 'rm', '--sync', published.name),
      });
      await setup(['containerd', '--root', root, '--undo']);
      assert.equal(await readFile(config, 'utf8'), before);
    });
  });

  describe('podman', needs('podman', 'openssl', 'root'), () => {
    for (const [name, secure] of [
      ['without TLS', false],
      ['with a private authority', true],
    ] as const) {
      test(`pulls every registry that is set up, ${name}`, async () => {
        await using own = await Workspace.open();
        const certificate = secure ? await makeCertificate(own, 'm') : undefined;
        const tls = certificate && { cert_file: certificate.certFile, key_file: certificate.keyFile };
        const stage = await setStage(own, 'scripted registries', {
          config: { listen: [{ address: '127.0.0.1:0', ...(tls && { tls }) }] },
        });
        const home = own.path('home');
        await mkdir(`${home}/.config`, { recursive: true });
        const trust = certificate === undefined ? [] : ['--ca', certificate.caFile];
        const url = `${secure ? 'https' : 'http'}://${stage.entrepot.host}`;
        const target = ['podman', '--user', '--server', url, ...trust];
        assert.match(await setup(target, { HOME: home }), /^\+location = "127\.0\.0\.1:\d+\/docker\.io"$/m);
        await setup([...target, '--apply'], { HOME: home });
        const podman = await preparePodman(own, '', { env: { HOME: home } });
        for (const published of [
          await stage.publish('docker.io', 'library/set-up'),
          await stage.publish('ghcr.io', 'owner/set-up'),
        ]) {
          await pullTwice(stage, {
            published,
            pull: () => podmanPull(podman, published),
            forget: () => podman.podman('image', 'rm', '--force', published.name),
          });
        }
        await setup(['podman', '--user', '--undo'], { HOME: home });
        assert.equal((await run(['find', home, '-type', 'f', '-path', '*registries.conf.d*'])).stdout, '');
      });
    }
  });

  test('k3s: the file has the keys that k3s knows, and no others', async () => {
    const root = workspace.path('k3s-root');
    await mkdir(root);
    await setup(['k3s', '--root', root, '--server', 'http://m.example:5000', '--registries', '*,docker.io', '--apply']);
    const file = REGISTRIES_YAML.parse(parseYaml(await readFile(`${root}/etc/rancher/k3s/registries.yaml`, 'utf8')));
    assert.deepEqual(file.mirrors?.['docker.io']?.endpoint, ['http://m.example:5000']);
    assert.deepEqual(Object.keys(file.mirrors ?? {}), ['*', 'docker.io']);
  });

  test('buildkit: the file has the keys that BuildKit knows, and no others', async () => {
    const root = workspace.path('buildkit-root');
    await mkdir(root);
    await setup(['buildkit', '--root', root, '--server', 'http://m.example:5000', '--apply']);
    const file = BUILDKITD_TOML.parse(parseToml(await readFile(`${root}/etc/buildkit/buildkitd.toml`, 'utf8')));
    assert.deepEqual(file.registry['docker.io'], { mirrors: ['m.example:5000/docker.io'] });
    assert.deepEqual(file.registry['m.example:5000'], { http: true });
  });

  test('kubernetes: the containers write the files, leave those of others alone, and take theirs back', async () => {
    const directory = workspace.path('nodes');
    const hosts = `${directory}/hosts`;
    const certs = `${directory}/certs.d`;
    const [config, set] = parseAllDocuments(await setup(['kubernetes', '--server', 'https://m.example'])).map((each) =>
      each.toJS(),
    );
    const undo = parseYaml(await setup(['kubernetes', '--undo']));
    for (const [name, text] of Object.entries(config.data)) await workspace.file(`nodes/hosts/${name}`, String(text));
    await mkdir(certs, { recursive: true });
    const inPod = (manifest: typeof set) => {
      const [shell, flags, script] = manifest.spec.template.spec.initContainers[0].command;
      return run([shell, flags, script.replaceAll('/certs.d', certs).replaceAll('/hosts/', `${hosts}/`)]);
    };
    const written = `${certs}/_default/hosts.toml`;
    for (const _ of ['first', 'second']) assert.equal((await inPod(set)).code, 0);
    assert.match(await readFile(written, 'utf8'), /^\[host\."https:\/\/m\.example"\]$/m);
    assert.equal((await inPod(undo)).code, 0);
    assert.deepEqual((await run(['ls', certs])).stdout, '');

    await workspace.file('nodes/certs.d/_default/hosts.toml', 'server = "https://a.example"\n');
    const refused = await inPod(set);
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /was not written by entrepot, and stays as it is/);
    assert.equal((await inPod(undo)).code, 0);
    assert.equal(await readFile(written, 'utf8'), 'server = "https://a.example"\n');
    await rm(directory, { recursive: true });
  });

  test('a read-only file system is told as such, and nothing is left behind', needs('unshare', 'root'), async () => {
    const root = workspace.path('read-only');
    await workspace.file('read-only/etc/docker/daemon.json', '{}');
    const command = [ENTREPOT, 'setup', 'docker', '--root', root, '--server', 'https://m.example', '--apply'];
    const mount = 'mount --bind "$0/etc" "$0/etc" && mount -o remount,ro,bind "$0/etc" && exec "$@"';
    const { code, stderr } = await run(['unshare', '--mount', 'sh', '-c', mount, root, ...command]);
    assert.equal(code, 1);
    assert.match(stderr, /is on a read-only file system; .*\. Nothing was changed\.\n$/);
    assert.equal(await check(['find', root, '-type', 'f', '-printf', '%P ']), 'etc/docker/daemon.json ');
  });

  test('without a client, it lists those of this machine', async () => {
    const server = await startEntrepot(workspace);
    assert.match(await setup(['--server', server.url]), /^CLIENT +INSTALLED +STATE +WOULD CHANGE\ndocker /);
  });
});

async function podmanPull(engine: Podman, published: Published): Promise<void> {
  const id = await engine.podman('pull', '--quiet', published.name);
  assert.equal(`sha256:${id.trim()}`, published.here.config.digest);
}

/** Source: docs.k3s.io, "Private Registry Configuration", and rancher/wharfie, pkg/registries/types.go. */
const REGISTRIES_YAML = z.strictObject({
  mirrors: z
    .record(
      z.string(),
      z.strictObject({ endpoint: z.array(z.url()), rewrite: z.record(z.string(), z.string()).optional() }),
    )
    .optional(),
  configs: z
    .record(
      z.string(),
      z.strictObject({
        auth: z.looseObject({}).optional(),
        tls: z
          .strictObject({
            ca_file: z.string(),
            cert_file: z.string(),
            key_file: z.string(),
            insecure_skip_verify: z.boolean(),
          })
          .partial()
          .optional(),
      }),
    )
    .optional(),
});

/** The part for registries. Source: BuildKit, util/resolver/config/config.go. */
const BUILDKITD_TOML = z.strictObject({
  registry: z.record(
    z.string(),
    z
      .strictObject({
        mirrors: z.array(z.string()),
        http: z.boolean(),
        insecure: z.boolean(),
        ca: z.array(z.string()),
        keypair: z.array(z.strictObject({ key: z.string(), cert: z.string() })),
      })
      .partial(),
  ),
});
