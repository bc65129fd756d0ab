import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Finding } from '../../src/doctor/index.ts';
import { ENTREPOT, type RunningEntrepot, startEntrepot } from '../support/app.ts';
import { type DockerEngine, startContainerd, startDockerd } from '../support/engines.ts';
import { needs, run, Workspace } from '../support/processes.ts';

// The canary, pulled by real clients: through the mirror, past it, and with the mirror stopped.

interface Ran {
  readonly code: number;
  readonly pull: Finding;
}

/** Runs the command as a user does, and finds what it says of the client's pull. */
async function prove(
  workspace: Workspace,
  { url, client, env = {} }: { readonly url: string; readonly client: string; readonly env?: NodeJS.ProcessEnv },
): Promise<Ran> {
  const command = ['sh', ENTREPOT, 'doctor', '--server', url, '--run', '--client', client, '--json'];
  const { code, stdout, stderr } = await run(command, {
    env: { ...process.env, ...env, HOME: workspace.dir, NODE_NO_WARNINGS: '1' },
  });
  const { findings } = JSON.parse(stdout) as { findings: Finding[] };
  const pull = findings.find(({ id }) => id === 'canary.pull');
  assert.ok(pull !== undefined, stdout + stderr);
  return { code, pull };
}

const NO_UPSTREAM = { registries: { 'docker.io': { upstreams: ['http://127.0.0.1:9'] } } };

/** Docker Hub by this mirror, and past it to where nothing answers. */
function registriesConf(mirror: string | undefined): string {
  const lines = ['[[registry]]', 'prefix = "docker.io"', 'location = "127.0.0.1:9"', 'insecure = true'];
  const own = mirror === undefined ? [] : ['[[registry.mirror]]', `location = "${mirror}"`, 'insecure = true'];
  return ['unqualified-search-registries = []', ...lines, ...own].join('\n');
}

describe('podman', needs('podman', 'root'), () => {
  let workspace: Workspace;
  let entrepot: RunningEntrepot;
  before(async () => {
    workspace = await Workspace.open();
    entrepot = await startEntrepot(workspace, NO_UPSTREAM);
  });
  after(() => workspace.close());

  /** The environment by which podman uses these files, and storage of its own. */
  async function environment(mirror: string | undefined): Promise<NodeJS.ProcessEnv> {
    const name = mirror === undefined ? 'without' : 'with';
    const storage = [
      '[storage]',
      'driver = "vfs"',
      `graphroot = "${workspace.path(`podman-${name}`)}"`,
      `runroot = "${workspace.path(`podman-run-${name}`)}"`,
    ];
    return {
      CONTAINERS_REGISTRIES_CONF: await workspace.file(`registries-${name}.conf`, registriesConf(mirror)),
      CONTAINERS_STORAGE_CONF: await workspace.file(`storage-${name}.conf`, storage.join('\n')),
    };
  }

  test('that is set up pulls the canary, and keeps nothing', async () => {
    const env = await environment(entrepot.host);
    const { code, pull } = await prove(workspace, { url: entrepot.url, client: 'podman', env });
    assert.deepEqual([pull.state, code], ['ok', 0], pull.found);
    assert.match(pull.found, /its pull came to the server, from 127\.0\.0\.1 \(containers\/.*docker\.io/);
    const left = await run(['podman', 'images', '--quiet'], { env: { ...process.env, ...env } });
    assert.equal(left.stdout.trim(), '');
  });

  test('that is not set up does not, and the remedy sets it up', async () => {
    const env = await environment(undefined);
    const { code, pull } = await prove(workspace, { url: entrepot.url, client: 'podman', env });
    assert.deepEqual([pull.state, code], ['failed', 1], pull.found);
    assert.match(pull.remedy ?? '', /entrepot setup podman --server http:/);
  });

  test('with the mirror stopped, nothing is proved', async () => {
    const env = await environment(entrepot.host);
    await entrepot.stop();
    const { code, pull } = await prove(workspace, { url: entrepot.url, client: 'podman', env });
    assert.deepEqual([pull.state, code], ['skipped', 1]);
  });
});

describe('docker', needs('docker', 'dockerd', 'root'), () => {
  let workspace: Workspace;
  let entrepot: RunningEntrepot;
  let engine: DockerEngine;
  before(async () => {
    workspace = await Workspace.open();
    entrepot = await startEntrepot(workspace, NO_UPSTREAM);
    engine = await startDockerd(workspace, { mirrors: [entrepot.url], insecure: [entrepot.host] });
  });
  after(() => workspace.close());

  const env = () => ({
    DOCKER_HOST: `unix://${workspace.path('docker.sock')}`,
    DOCKER_CONFIG: workspace.path('docker-config'),
  });

  test('that is set up pulls the canary, and keeps nothing', async () => {
    const { code, pull } = await prove(workspace, { url: entrepot.url, client: 'docker', env: env() });
    assert.deepEqual([pull.state, code], ['ok', 0], pull.found);
    assert.match(pull.found, /its pull came to the server, .*docker\/.*docker\.io/);
    assert.equal((await engine.docker('images', '--quiet')).trim(), '');
  });

  test('that uses another server pulls nothing of this one', async () => {
    const other = await startEntrepot(workspace, NO_UPSTREAM);
    const { code, pull } = await prove(workspace, { url: other.url, client: 'docker', env: env() });
    assert.deepEqual([pull.state, code], ['failed', 1], pull.found);
    assert.match(pull.found, /a canary of another server/);
  });
});

describe('containerd', needs('containerd', 'ctr', 'root'), () => {
  test('takes the canary, and all of its content', async () => {
    const workspace = await Workspace.open();
    try {
      const entrepot = await startEntrepot(workspace, NO_UPSTREAM);
      const containerd = await startContainerd(workspace);
      const hosts = `server = "http://127.0.0.1:9"\n[host."${entrepot.url}"]\n  capabilities = ["pull", "resolve"]\n`;
      await workspace.file('certs.d/docker.io/hosts.toml', hosts);
      const image = `docker.io/library/entrepot-canary:doctor-${'0123456789abcdef'.repeat(2)}`;
      await containerd.ctr('images', 'pull', '--hosts-dir', workspace.path('certs.d'), image);
      const view = (await (await fetch(`${entrepot.url}/canary/${image.split(':').at(-1)}`)).json()) as {
        digest: string;
        requests: { namedBy: string }[];
      };
      assert.ok((await containerd.content()).includes(view.digest));
      assert.equal(view.requests[0]?.namedBy, 'ns');
    } finally {
      await workspace.close();
    }
  });
});
