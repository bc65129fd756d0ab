import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import bcrypt from 'bcryptjs';
import { type RunningEntrepot, startEntrepot } from '../support/app.ts';
import { preparePodman, startContainerd, startDockerd } from '../support/engines.ts';
import { goTool, needsGoTools } from '../support/go-tools.ts';
import { buildImage } from '../support/image.ts';
import { needs, type RunResult, run, Workspace } from '../support/processes.ts';
import { type ScriptedUpstream, startScriptedUpstream } from '../support/scripted-upstream.ts';

// Real clients on one port: without a login for what is public, with one for the rest.

const image = buildImage({ seed: 'access-e2e' });
const PASSWORD = 'correct horse';

let workspace: Workspace;
let upstream: ScriptedUpstream;
let entrepot: RunningEntrepot;
let htpasswd: string;
const setUsers = (...names: readonly string[]): Promise<void> =>
  writeFile(htpasswd, names.map((name) => `${name}:${bcrypt.hashSync(PASSWORD, 4)}\n`).join(''));
const nameOf = (repository: string): string => `${entrepot.host}/${repository}:latest`;

before(async () => {
  workspace = await Workspace.open();
  htpasswd = workspace.path('htpasswd');
  await setUsers('alice', 'bob');
  upstream = await startScriptedUpstream();
  for (const name of ['public/app', 'private/app']) upstream.add(image, name, ['latest']);
  entrepot = await startEntrepot(workspace, {
    default_registry: 'plain',
    registries: { plain: { upstreams: [upstream.url] } },
    access: {
      htpasswd,
      rules: [
        { who: 'anonymous', may: ['pull'], on: ['plain/public/**'] },
        { who: 'alice', may: ['pull'], on: ['plain/private/**'] },
      ],
    },
  });
});
after(async () => {
  await workspace.close();
  await upstream.stop();
});

/** What a client does to log in and to pull; `output` is everything it said. */
interface Client {
  login(user: string, password: string): Promise<RunResult>;
  logout(): Promise<unknown>;
  pull(name: string): Promise<RunResult>;
}

/** The course of one client, and what it says where it is refused. */
function course(
  client: () => Client,
  says: { readonly wrongPassword: RegExp; readonly anonymous: RegExp; readonly refused: RegExp },
): void {
  const said = ({ stdout, stderr }: RunResult): string => `${stdout}${stderr}`;
  async function succeeds(result: Promise<RunResult>): Promise<void> {
    const given = await result;
    assert.equal(given.code, 0, said(given));
  }
  async function fails(result: Promise<RunResult>, expected: RegExp): Promise<void> {
    const given = await result;
    assert.notEqual(given.code, 0, said(given));
    assert.match(said(given), expected);
  }

  test('pulls without a login what is public, and nothing else', async () => {
    await succeeds(client().pull(nameOf('public/app')));
    await fails(client().pull(nameOf('private/app')), says.anonymous);
  });

  test('is told that a password is wrong', async () => {
    await fails(client().login('alice', 'wrong'), says.wrongPassword);
  });

  test('pulls with a login what its user may', async () => {
    await succeeds(client().login('alice', PASSWORD));
    await succeeds(client().pull(nameOf('private/app')));
    await succeeds(client().pull(nameOf('public/app')));
    await client().logout();
    await succeeds(client().login('bob', PASSWORD));
    await fails(client().pull(nameOf('private/app')), says.refused);
    await client().logout();
  });

  test('is refused when its user is removed', async () => {
    await succeeds(client().login('alice', PASSWORD));
    await setUsers('bob');
    try {
      // The file is looked at once a second.
      let last: RunResult;
      do last = await client().pull(nameOf('private/app'));
      while (last.code === 0);
      assert.match(said(last), says.wrongPassword);
    } finally {
      await setUsers('alice', 'bob');
      await client().logout();
      const authorization = `Basic ${Buffer.from(`alice:${PASSWORD}`).toString('base64')}`;
      while ((await fetch(`${entrepot.url}/v2/`, { headers: { authorization } })).status !== 200);
    }
  });
}

describe('docker', needs('dockerd', 'docker', 'root'), () => {
  let client: Client;
  before(async () => {
    await startDockerd(workspace);
    const env = {
      ...process.env,
      DOCKER_HOST: `unix://${workspace.path('docker.sock')}`,
      DOCKER_CONFIG: workspace.path('docker-config'),
    };
    const docker = (...args: readonly string[]) => run(['docker', ...args], { env });
    client = {
      login: (user, password) => docker('login', '--username', user, '--password', password, entrepot.host),
      logout: () => docker('logout', entrepot.host),
      pull: async (name) => {
        await docker('image', 'rm', '--force', name);
        return docker('pull', name);
      },
    };
  });
  course(() => client, {
    wrongPassword: /unauthorized: (?:the user, password or token is not valid; log in again|authentication required)/,
    anonymous: /unauthorized|authorization failed|denied/,
    refused: /bob may not pull plain\/private\/app/,
  });
});

describe('podman', needs('podman', 'root'), () => {
  let client: Client;
  before(async () => {
    const registries = `[[registry]]\nlocation = "${entrepot.host}"\ninsecure = true\n`;
    const podman = await preparePodman(workspace, registries);
    const attempt = (...args: string[]) => podman.attempt(...args);
    client = {
      login: (user, password) => attempt('login', '--username', user, '--password', password, entrepot.host),
      logout: () => attempt('logout', entrepot.host),
      pull: async (name) => {
        await attempt('image', 'rm', '--force', name);
        return attempt('pull', '--quiet', name);
      },
    };
  });
  course(() => client, {
    wrongPassword: /unauthorized|invalid username\/password|authentication required/,
    anonymous: /unauthorized|authentication required/,
    refused: /bob may not pull plain\/private\/app/,
  });
});

describe('skopeo', needs('skopeo'), () => {
  let client: Client;
  before(() => {
    const file = workspace.path('skopeo-auth.json');
    const skopeo = (...args: readonly string[]) => run(['skopeo', ...args]);
    client = {
      login: (user, password) =>
        skopeo('login', '--tls-verify=false', '--authfile', file, '-u', user, '-p', password, entrepot.host),
      logout: () => skopeo('logout', '--authfile', file, entrepot.host),
      pull: (name) => skopeo('inspect', '--tls-verify=false', '--authfile', file, '--raw', `docker://${name}`),
    };
  });
  course(() => client, {
    wrongPassword: /unauthorized|invalid username\/password|authentication required/,
    anonymous: /unauthorized|authentication required/,
    refused: /bob may not pull plain\/private\/app/,
  });
});

describe('containerd', needs('containerd', 'ctr', 'root'), () => {
  let client: Client;
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
        if (password !== PASSWORD) credential = [];
        // An anonymous token is given for what is public; what is private tells.
        return password === PASSWORD
          ? { ...rest, code }
          : ctr('content', 'fetch', '--plain-http', '--user', `${user}:${password}`, nameOf('private/app'));
      },
      logout: async () => void (credential = []),
      pull: fetchIt,
    };
  });
  course(() => client, {
    wrongPassword: /401 Unauthorized/,
    anonymous: /authorization failed|401 Unauthorized/,
    refused: /403 Forbidden/,
  });
});

describe('crane', needsGoTools('crane'), () => {
  let client: Client;
  before(() => {
    const env = { ...process.env, DOCKER_CONFIG: workspace.path('crane-config') };
    const crane = (...args: readonly string[]) => run([goTool('crane'), ...args], { env });
    client = {
      // It writes the login down without trying it.
      login: async (user, password) => {
        const written = await crane('auth', 'login', '-u', user, '-p', password, entrepot.host);
        return password === PASSWORD ? written : crane('manifest', '--insecure', nameOf('private/app'));
      },
      logout: () => crane('auth', 'logout', entrepot.host),
      pull: (name) => crane('manifest', '--insecure', name),
    };
  });
  course(() => client, {
    wrongPassword: /UNAUTHORIZED/,
    anonymous: /UNAUTHORIZED/,
    refused: /bob may not pull plain\/private\/app/,
  });
});
