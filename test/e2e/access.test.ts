import { after, before, describe } from 'node:test';
import { type AccessClient, type AccessStage, course, startAccessStage, WRONG } from '../support/access-stage.ts';
import { preparePodman, startContainerd, startDockerd } from '../support/engines.ts';
import { goTool, needsGoTools } from '../support/go-tools.ts';
import { needs, type RunResult, run, type Workspace } from '../support/processes.ts';

// Real clients on one port: without a login for what is public, with one for the rest. Others are in access-clients.test.ts.

let stage: AccessStage;
let workspace: Workspace;
let host: string;
const nameOf = (repository: string): string => `${host}/${repository}:latest`;

before(async () => {
  stage = await startAccessStage();
  ({
    workspace,
    entrepot: { host },
  } = stage);
});
after(() => stage[Symbol.asyncDispose]());

describe('docker', needs('dockerd', 'docker', 'root'), () => {
  let client: AccessClient;
  before(async () => {
    await startDockerd(workspace);
    const env = {
      ...process.env,
      DOCKER_HOST: `unix://${workspace.path('docker.sock')}`,
      DOCKER_CONFIG: workspace.path('docker-config'),
    };
    const docker = (...args: readonly string[]) => run(['docker', ...args], { env });
    client = {
      login: (user, password) => docker('login', '--username', user, '--password', password, host),
      logout: () => docker('logout', host),
      pull: async (name) => {
        await docker('image', 'rm', '--force', name);
        return docker('pull', name);
      },
    };
  });
  course(
    () => stage,
    () => client,
    {
      wrongPassword: /unauthorized: (?:the user, password or token is not valid; log in again|authentication required)/,
      anonymous: /unauthorized: anonymous may not pull plain\/private\/app; log in/,
      refused: /bob may not pull plain\/private\/app/,
    },
  );
});

describe('podman', needs('podman', 'root'), () => {
  let client: AccessClient;
  before(async () => {
    const registries = `[[registry]]\nlocation = "${host}"\ninsecure = true\n`;
    const podman = await preparePodman(workspace, registries);
    const attempt = (...args: string[]) => podman.attempt(...args);
    client = {
      login: (user, password) => attempt('login', '--username', user, '--password', password, host),
      logout: () => attempt('logout', host),
      pull: async (name) => {
        await attempt('image', 'rm', '--force', name);
        return attempt('pull', '--quiet', name);
      },
    };
  });
  course(
    () => stage,
    () => client,
    {
      wrongPassword: /invalid username\/password/,
      removed: /unauthorized|invalid username\/password|authentication required/,
      anonymous: /unauthorized: anonymous may not pull plain\/private\/app; log in/,
      refused: /bob may not pull plain\/private\/app/,
    },
  );
});

describe('skopeo', needs('skopeo'), () => {
  let client: AccessClient;
  before(() => {
    const file = workspace.path('skopeo-auth.json');
    const skopeo = (...args: readonly string[]) => run(['skopeo', ...args]);
    client = {
      login: (user, password) =>
        skopeo('login', '--tls-verify=false', '--authfile', file, '-u', user, '-p', password, host),
      logout: () => skopeo('logout', '--authfile', file, host),
      pull: (name) => skopeo('inspect', '--tls-verify=false', '--authfile', file, '--raw', `docker://${name}`),
    };
  });
  course(
    () => stage,
    () => client,
    {
      wrongPassword: /invalid username\/password/,
      removed: /unauthorized|invalid username\/password|authentication required/,
      anonymous: /unauthorized: anonymous may not pull plain\/private\/app; log in/,
      refused: /bob may not pull plain\/private\/app/,
    },
  );
});

describe('containerd', needs('containerd', 'ctr', 'root'), () => {
  let client: AccessClient;
  before(async () => {
    await startContainerd(workspace);
    let credential: readonly string[] = [];
    const ctr = (...args: readonly string[]) => run(['ctr', '--address', workspace.path('containerd.sock'), ...args]);
    const fetchIt = async (name: string): Promise<RunResult> => {
      await ctr('image', 'rm', name);
      await ctr('content', 'prune', 'references');
      return ctr('content', 'fetch', '--plain-http', ...credential, name);
    };
    client = {
      // ctr keeps no login: a wrong one shows at the pull.
      login: async (user, password) => {
        credential = ['--user', `${user}:${password}`];
        const { code, ...rest } = await fetchIt(nameOf('public/app'));
        if (password === WRONG) credential = [];
        // An anonymous token is given for what is public; what is private tells.
        return password !== WRONG
          ? { ...rest, code }
          : ctr('content', 'fetch', '--plain-http', '--user', `${user}:${password}`, nameOf('private/app'));
      },
      logout: async () => void (credential = []),
      pull: fetchIt,
    };
  });
  course(
    () => stage,
    () => client,
    {
      wrongPassword: /failed to fetch oauth token: unexpected status: 401 Unauthorized/,
      removed: /failed to fetch oauth token|invalid_token: authorization failed|401 Unauthorized/,
      anonymous: /failed with status code \[manifests latest\]: 401 Unauthorized/,
      refused: /failed with status code \[manifests latest\]: 403 Forbidden/,
    },
  );
});

describe('crane', needsGoTools('crane'), () => {
  let client: AccessClient;
  before(() => {
    const env = { ...process.env, DOCKER_CONFIG: workspace.path('crane-config') };
    const crane = (...args: readonly string[]) => run([goTool('crane'), ...args], { env });
    client = {
      // It writes the login down without trying it.
      login: async (user, password) => {
        const written = await crane('auth', 'login', '-u', user, '-p', password, host);
        return password !== WRONG ? written : crane('manifest', '--insecure', nameOf('private/app'));
      },
      logout: () => crane('auth', 'logout', host),
      pull: (name) => crane('manifest', '--insecure', name),
    };
  });
  course(
    () => stage,
    () => client,
    {
      wrongPassword: /UNAUTHORIZED: the user, password or token is not valid; log in again/,
      anonymous: /UNAUTHORIZED: anonymous may not pull plain\/private\/app; log in/,
      refused: /bob may not pull plain\/private\/app/,
    },
  );
});
