import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe } from 'node:test';
import { MEDIA_TYPES } from '../../src/oci/index.ts';
import { type AccessClient, type AccessStage, course, startAccessStage, WRONG } from '../support/access-stage.ts';
import { startContainerd, startDockerd } from '../support/engines.ts';
import { goTool, needsGoTools } from '../support/go-tools.ts';
import { content, descriptor } from '../support/image.ts';
import { check, needs, type RunResult, run, type Workspace } from '../support/processes.ts';

// The course of access.test.ts with clients that build, with artifacts and charts, and as a node of Kubernetes pulls.

let stage: AccessStage;
let workspace: Workspace;
let host: string;

before(async () => {
  stage = await startAccessStage();
  ({
    workspace,
    entrepot: { host },
  } = stage);
});
after(() => stage[Symbol.asyncDispose]());

const NOTHING_SAID: RunResult = { code: 0, stdout: '', stderr: '' };
/** Where the user goes, the client may be asking for a token, for the manifest or for a layer. */
const REMOVED = /failed to fetch oauth token|invalid_token: authorization failed|401 Unauthorized/;
const NOT_VALID = /the user, password or token is not valid; log in again/;

describe('oras', needsGoTools('oras'), () => {
  let client: AccessClient;
  before(() => {
    const env = { ...process.env, HOME: workspace.path('oras'), DOCKER_CONFIG: workspace.path('oras-config') };
    const oras = (...args: readonly string[]) => run([goTool('oras'), ...args], { env });
    client = {
      login: (user, password) => oras('login', '--plain-http', '-u', user, '-p', password, host),
      logout: () => oras('logout', host),
      pull: async (name) => {
        await rm(workspace.path('oras-layout'), { recursive: true, force: true });
        return oras(
          'cp',
          '--no-tty',
          '--from-plain-http',
          '--to-oci-layout',
          name,
          workspace.path('oras-layout:latest'),
        );
      },
    };
  });
  course(
    () => stage,
    () => client,
    {
      wrongPassword: NOT_VALID,
      anonymous: /anonymous may not pull plain\/private\/app; log in/,
      refused: /denied: bob may not pull plain\/private\/app/i,
    },
  );
});

describe('helm', needsGoTools('helm'), () => {
  let client: AccessClient;
  before(async () => {
    const env = { ...process.env, HOME: workspace.path('helm') };
    const helm = (...args: readonly string[]) => run([goTool('helm'), ...args], { env });
    await workspace.file('demo/Chart.yaml', 'apiVersion: v2\nname: demo\nversion: 0.1.0\n');
    await check([goTool('helm'), 'package', workspace.path('demo'), '--destination', workspace.dir], { env });
    const chart = content(
      'application/vnd.cncf.helm.chart.content.v1.tar+gzip',
      await readFile(workspace.path('demo-0.1.0.tgz')),
    );
    const config = content(
      'application/vnd.cncf.helm.config.v1+json',
      Buffer.from('{"name":"demo","version":"0.1.0","apiVersion":"v2"}'),
    );
    const mediaType = MEDIA_TYPES.ociManifest;
    const layers = [descriptor(chart)];
    const manifest = content(
      mediaType,
      Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, config: descriptor(config), layers })),
    );
    for (const repository of ['public/demo', 'private/demo']) {
      for (const blob of [chart, config]) stage.upstream.library.addBlob(repository, blob);
      stage.upstream.library.addManifest(repository, manifest);
      stage.upstream.library.tag(repository, { tag: '0.1.0', digest: manifest.digest });
    }
    client = {
      login: (user, password) => helm('registry', 'login', '--plain-http', '-u', user, '-p', password, host),
      logout: () => helm('registry', 'logout', host),
      pull: (name) => helm('pull', '--plain-http', `oci://${name}`, '--version', '0.1.0', '-d', workspace.dir),
    };
  });
  course(
    () => stage,
    () => client,
    {
      wrongPassword: NOT_VALID,
      anonymous: /response status code 401: unauthorized: anonymous may not pull plain\/private\/demo; log in/,
      refused: /response status code 403: denied: bob may not pull plain\/private\/demo/,
    },
    { what: 'demo' },
  );
});

describe('docker build', needs('dockerd', 'docker', 'root'), () => {
  let client: AccessClient;
  before(async () => {
    await startDockerd(workspace);
    const env = {
      ...process.env,
      DOCKER_HOST: `unix://${workspace.path('docker.sock')}`,
      DOCKER_CONFIG: workspace.path('docker-config'),
      // The builder of the engine itself; BuildKit is below.
      DOCKER_BUILDKIT: '0',
    };
    const docker = (...args: readonly string[]) => run(['docker', ...args], { env });
    client = {
      login: (user, password) => docker('login', '--username', user, '--password', password, host),
      logout: () => docker('logout', host),
      pull: async (name) => {
        await docker('image', 'rm', '--force', name);
        return run(['docker', 'build', '--pull', '--no-cache', '-'], { env, input: `FROM ${name}\nLABEL a=b\n` });
      },
    };
  });
  course(
    () => stage,
    () => client,
    {
      wrongPassword: /unauthorized: the user, password or token is not valid; log in again|pull access denied/,
      anonymous: /unauthorized: anonymous may not pull plain\/private\/app; log in/,
      refused: /bob may not pull plain\/private\/app/,
    },
  );
});

describe('buildkit', { ...needs('root', 'runc'), ...needsGoTools('buildkitd', 'buildctl') }, () => {
  let client: AccessClient;
  before(async () => {
    const address = `unix://${workspace.path('buildkit.sock')}`;
    const toml = await workspace.file('buildkitd.toml', `[registry."${host}"]\n  http = true\n`);
    const config = workspace.path('buildkit-config');
    const env = { ...process.env, DOCKER_CONFIG: config };
    const buildctl = (...args: readonly string[]) => run([goTool('buildctl'), '--addr', address, ...args], { env });
    const daemon = [
      goTool('buildkitd'),
      `--addr=${address}`,
      `--root=${workspace.path('buildkit')}`,
      `--config=${toml}`,
      '--oci-worker-snapshotter=native',
      '--containerd-worker=false',
    ];
    const ready = async (): Promise<boolean> => (await buildctl('debug', 'workers')).code === 0;
    client = {
      // It has no login of its own: it reads that of docker, and a wrong one shows at the build.
      login: async (user, password) => {
        const auth = Buffer.from(`${user}:${password}`).toString('base64');
        await workspace.file('buildkit-config/config.json', JSON.stringify({ auths: { [host]: { auth } } }));
        return password !== WRONG ? NOTHING_SAID : client.pull(`${host}/private/app:latest`);
      },
      logout: () => rm(join(config, 'config.json'), { force: true }),
      pull: async (name) => {
        // A daemon for each build: it keeps the token of one for the next, even of another user.
        const buildkitd = await workspace.start(daemon, { within: 60_000, ready });
        await buildctl('prune', '--all');
        await workspace.file('build/Dockerfile', `FROM ${name}\n`);
        const folder = workspace.path('build');
        const from = [`--local=context=${folder}`, `--local=dockerfile=${folder}`, '--frontend=dockerfile.v0'];
        const output = `--output=type=oci,dest=${workspace.path('built.tar')}`;
        const built = await buildctl('build', '--progress=plain', '--no-cache', ...from, output);
        await buildkitd.stop();
        return built;
      },
    };
  });
  course(
    () => stage,
    () => client,
    {
      wrongPassword:
        /failed to fetch oauth token: unauthorized: the user, password or token is not valid; log in again/,
      removed: REMOVED,
      anonymous: /unexpected status from HEAD request to .*: 401 Unauthorized/,
      refused: /403 Forbidden\s+denied: bob may not pull plain\/private\/app/,
    },
  );
});

describe('a node of Kubernetes', { ...needs('containerd', 'root'), ...needsGoTools('crictl') }, () => {
  let client: AccessClient;
  before(async () => {
    await workspace.file(`certs.d/${host}/hosts.toml`, `server = "http://${host}"\n`);
    await startContainerd(workspace, { cri: workspace.path('certs.d') });
    const endpoint = `unix://${workspace.path('containerd.sock')}`;
    const crictl = (...args: readonly string[]) =>
      run([goTool('crictl'), '--runtime-endpoint', endpoint, '--image-endpoint', endpoint, ...args]);
    /** As `kubectl create secret docker-registry` writes it: the kubelet takes the entry of the image's host. */
    let secret: string | undefined;
    const credential = (): readonly string[] => {
      if (secret === undefined) return [];
      const { auths } = JSON.parse(secret) as { auths: Record<string, { username: string; password: string }> };
      const { username, password } = auths[host] ?? { username: '', password: '' };
      return ['--creds', `${username}:${password}`];
    };
    client = {
      login: async (username, password) => {
        const auth = Buffer.from(`${username}:${password}`).toString('base64');
        secret = JSON.stringify({ auths: { [host]: { username, password, auth } } });
        return password !== WRONG ? NOTHING_SAID : client.pull(`${host}/private/app:latest`);
      },
      logout: async () => void (secret = undefined),
      pull: async (name) => {
        await crictl('rmi', name);
        return crictl('pull', ...credential(), name);
      },
    };
  });
  course(
    () => stage,
    () => client,
    {
      wrongPassword: /failed to authorize: failed to fetch oauth token: unexpected status: 401 Unauthorized/,
      removed: REMOVED,
      anonymous: /failed with status code \[manifests latest\]: 401 Unauthorized/,
      refused: /failed with status code \[manifests latest\]: 403 Forbidden/,
    },
  );
});
