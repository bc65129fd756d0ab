import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { said } from '../support/access-stage.ts';
import { type RunningEntrepot, startEntrepot } from '../support/app.ts';
import { preparePodman, startDockerd, startDockerRegistry } from '../support/engines.ts';
import { goTool, needsGoTools } from '../support/go-tools.ts';
import { buildImage, platformOf, writeOciLayout } from '../support/image.ts';
import { htpasswdOf } from '../support/logins.ts';
import { needs, type RunResult, run, Workspace } from '../support/processes.ts';
import { pushImage } from '../support/push.ts';
import { type ScriptedUpstream, startScriptedUpstream } from '../support/scripted-upstream.ts';

// Real clients push to repositories that are at home here: without a login, as a user who may only pull, and as one who may push.

const image = buildImage({ seed: 'hosting-e2e', architectures: ['amd64'] });
const base = buildImage({ seed: 'hosting-base', architectures: ['amd64'] });
const { manifest } = platformOf(image, 'amd64');

let workspace: Workspace;
let entrepot: RunningEntrepot;
let host: string;
let layout: string;
let upstream: ScriptedUpstream;

/** The password of a user of {@link htpasswdOf}. */
const passwordOf = (user: string): string => `${user}-pw`;

before(async () => {
  workspace = await Workspace.open();
  upstream = await startScriptedUpstream();
  workspace.defer(() => upstream.stop());
  upstream.add(base, 'library/base', ['1']);
  layout = workspace.path('layout');
  await mkdir(layout);
  await writeOciLayout(layout, { image });
  const htpasswd = workspace.path('htpasswd');
  await writeFile(htpasswd, htpasswdOf('alice', 'bob'));
  entrepot = await startEntrepot(workspace, {
    default_registry: 'plain',
    registries: {
      plain: { upstreams: [upstream.url], hosted: ['acme/**'] },
      apps: { hosted: true, immutable_tags: ['v*'] },
      small: { hosted: true, quota: '1KB' },
    },
    access: {
      htpasswd,
      rules: [
        { who: 'anonymous', may: ['pull'], on: ['plain/library/**'] },
        { who: 'alice', may: ['pull', 'push', 'delete', 'catalog'], on: ['apps/**', 'small/**', 'plain/acme/**'] },
        { who: 'bob', may: ['pull'], on: ['apps/**'] },
      ],
    },
  });
  ({ host } = entrepot);
});
after(() => workspace.close());

/** What a client does; the results have everything that it said. */
interface PushingClient {
  login(user: string): Promise<RunResult>;
  logout(): Promise<unknown>;
  /** @param name `HOST/apps/web:1` */
  push(name: string): Promise<RunResult>;
  pull(name: string): Promise<RunResult>;
}

/** What a client says where it is refused; docs/hosting.md quotes it. */
interface Says {
  readonly anonymous: RegExp;
  readonly refused: RegExp;
  readonly immutable: RegExp;
  readonly full: RegExp;
  readonly mirrored: RegExp;
}

function course(name: string, client: () => PushingClient, says: Says): void {
  const nameOf = (registry: string, tag = '1') => `${host}/${registry}/${name}:${tag}`;

  test('is refused without a login', async () => {
    await client().logout();
    const refused = await client().push(nameOf('apps'));
    assert.notEqual(refused.code, 0);
    assert.match(said(refused), says.anonymous);
  });

  test('pushes and pulls as a user who may', async () => {
    assert.equal((await client().login('alice')).code, 0);
    for (const target of [nameOf('apps'), nameOf('acme')]) {
      const pushed = await client().push(target);
      assert.equal(pushed.code, 0, said(pushed));
      const pulled = await client().pull(target);
      assert.equal(pulled.code, 0, said(pulled));
    }
    // The same again is no error.
    assert.equal((await client().push(nameOf('apps'))).code, 0);
  });

  test('is told what is refused to a user who may push', async () => {
    await client().login('alice');
    const other = await pushedByTest(nameOf('apps', 'v1'));
    const refused = { immutable: nameOf('apps', 'v1'), full: nameOf('small'), mirrored: nameOf('library') };
    for (const [what, target] of Object.entries(refused) as [keyof typeof refused, string][]) {
      const answer = await client().push(target);
      assert.notEqual(answer.code, 0, what);
      assert.match(said(answer), says[what], what);
    }
    assert.equal(await digestOf(nameOf('apps', 'v1')), other);
  });

  test('is refused as a user who may only pull', async () => {
    assert.equal((await client().login('bob')).code, 0);
    const refused = await client().push(nameOf('apps', '2'));
    assert.notEqual(refused.code, 0);
    assert.match(said(refused), says.refused);
    assert.equal((await client().pull(nameOf('apps'))).code, 0);
  });
}

const alice = { authorization: `Basic ${Buffer.from(`alice:${passwordOf('alice')}`).toString('base64')}` };

/** Puts another image there first. */
async function pushedByTest(name: string): Promise<string> {
  const [, repository = '', tag = ''] = /^[^/]+\/(.+):([^:]+)$/.exec(name) ?? [];
  await pushImage({ host, repository, headers: alice }, base, tag);
  return base.index.digest;
}

async function digestOf(name: string): Promise<string | null> {
  const [, repository = '', tag = ''] = /^[^/]+\/(.+):([^:]+)$/.exec(name) ?? [];
  const answer = await fetch(`http://${host}/v2/${repository}/manifests/${tag}`, { headers: alice });
  return answer.headers.get('docker-content-digest');
}

describe('docker', needs('dockerd', 'docker', 'root'), () => {
  let client: PushingClient;
  before(async () => {
    const engine = await startDockerd(workspace);
    const must = (...args: string[]) => engine.docker(...args);
    const env = {
      ...process.env,
      DOCKER_HOST: `unix://${workspace.path('docker.sock')}`,
      DOCKER_CONFIG: workspace.path('docker-config'),
    };
    const docker = (...args: readonly string[]) => run(['docker', ...args], { env });
    await must('pull', `${host}/library/base:1`);
    client = {
      login: (user) => docker('login', '--username', user, '--password', passwordOf(user), host),
      logout: () => docker('logout', host),
      push: async (name) => {
        await must('tag', `${host}/library/base:1`, name);
        return docker('push', name);
      },
      pull: (name) => docker('pull', name),
    };
  });
  course('docker', () => client, {
    anonymous: /unauthorized: anonymous may not push to apps\/docker; log in/,
    refused: /denied: bob may not push to apps\/docker/,
    immutable: /(?:denied|DENIED): the tag v1 is immutable/,
    full: /(?:denied|DENIED): quota: small\/docker may have 1000 B/,
    mirrored: /plain\/library\/docker is mirrored: nothing can be pushed to it/,
  });
});

describe('podman', needs('podman', 'root'), () => {
  let client: PushingClient;
  before(async () => {
    const podman = await preparePodman(workspace, `[[registry]]\nlocation = "${host}"\ninsecure = true\n`);
    const attempt = (...args: string[]) => podman.attempt(...args);
    await podman.podman('pull', '--quiet', `${host}/library/base:1`);
    client = {
      login: (user) => attempt('login', '--username', user, '--password', passwordOf(user), host),
      logout: () => attempt('logout', host),
      push: (name) => attempt('push', '--quiet', `${host}/library/base:1`, name),
      pull: (name) => attempt('pull', '--quiet', name),
    };
  });
  course('podman', () => client, {
    anonymous: /unauthorized: authentication required/,
    refused: /denied: bob may not push to apps\/podman/,
    immutable: /(?:denied|DENIED): the tag v1 is immutable/,
    full: /(?:denied|DENIED): quota: small\/podman may have 1000 B/,
    mirrored: /plain\/library\/podman is mirrored: nothing can be pushed to it/,
  });
});

describe('skopeo', needs('skopeo'), () => {
  let client: PushingClient;
  before(() => {
    const file = workspace.path('skopeo-auth.json');
    const skopeo = (...args: readonly string[]) => run(['skopeo', ...args]);
    const options = ['--dest-tls-verify=false', '--authfile', file];
    client = {
      login: (user) =>
        skopeo('login', '--tls-verify=false', '--authfile', file, '-u', user, '-p', passwordOf(user), host),
      logout: () => skopeo('logout', '--authfile', file, host),
      push: (name) => skopeo('copy', '--all', ...options, `oci:${layout}:image`, `docker://${name}`),
      pull: (name) => skopeo('inspect', '--tls-verify=false', '--authfile', file, `docker://${name}`),
    };
  });
  course('skopeo', () => client, {
    anonymous: /unauthorized: authentication required/,
    refused: /denied: bob may not push to apps\/skopeo/,
    immutable: /(?:denied|DENIED): the tag v1 is immutable/,
    full: /(?:denied|DENIED): quota: small\/skopeo may have 1000 B/,
    mirrored: /plain\/library\/skopeo is mirrored: nothing can be pushed to it/,
  });

  test('copies between repositories, lists tags and deletes', async () => {
    await client.login('alice');
    const file = workspace.path('skopeo-auth.json');
    const skopeo = (...args: readonly string[]) => run(['skopeo', ...args]);
    const tls = ['--src-tls-verify=false', '--dest-tls-verify=false', '--authfile', file];
    const copied = await skopeo(
      'copy',
      '--all',
      ...tls,
      `docker://${host}/apps/skopeo:1`,
      `docker://${host}/apps/copy:1`,
    );
    assert.equal(copied.code, 0, said(copied));
    const common = ['--tls-verify=false', '--authfile', file];
    const listed = await skopeo('list-tags', ...common, `docker://${host}/apps/copy`);
    assert.deepEqual((JSON.parse(listed.stdout) as { Tags: string[] }).Tags, ['1']);
    const deleted = await skopeo('delete', ...common, `docker://${host}/apps/copy:1`);
    assert.equal(deleted.code, 0, said(deleted));
    assert.notEqual((await skopeo('inspect', ...common, `docker://${host}/apps/copy:1`)).code, 0);
    assert.equal((await skopeo('inspect', ...common, `docker://${host}/apps/skopeo:1`)).code, 0);
  });
});

describe('buildah', needs('buildah', 'root'), () => {
  let client: PushingClient;
  before(async () => {
    const authfile = await workspace.file('buildah-auth.json', '{}');
    const storage = [
      `--root=${workspace.path('buildah')}`,
      `--runroot=${workspace.path('buildah-run')}`,
      '--storage-driver=vfs',
    ];
    const buildah = (...args: readonly string[]) => run(['buildah', ...storage, ...args]);
    const options = ['--tls-verify=false', '--authfile', authfile];
    const pulled = await buildah('pull', '--quiet', ...options, `${host}/library/base:1`);
    assert.equal(pulled.code, 0, said(pulled));
    client = {
      login: (user) => buildah('login', ...options, '-u', user, '-p', passwordOf(user), host),
      logout: () => buildah('logout', '--authfile', authfile, host),
      push: (name) => buildah('push', '--quiet', ...options, `${host}/library/base:1`, `docker://${name}`),
      pull: (name) => buildah('pull', '--quiet', ...options, name),
    };
  });
  course('buildah', () => client, {
    anonymous: /unauthorized: authentication required/,
    refused: /denied: bob may not push to apps\/buildah/,
    immutable: /(?:denied|DENIED): the tag v1 is immutable/,
    full: /(?:denied|DENIED): quota: small\/buildah may have 1000 B/,
    mirrored: /plain\/library\/buildah is mirrored: nothing can be pushed to it/,
  });
});

describe('crane', needsGoTools('crane'), () => {
  let client: PushingClient;
  let crane: (...args: readonly string[]) => Promise<RunResult>;
  before(() => {
    const env = { ...process.env, DOCKER_CONFIG: workspace.path('crane') };
    crane = (...args) => run([goTool('crane'), '--insecure', ...args], { env });
    client = {
      login: (user) => crane('auth', 'login', host, '-u', user, '-p', passwordOf(user)),
      logout: () => crane('auth', 'logout', host),
      push: (name) => crane('push', '--index', layout, name),
      pull: (name) => crane('manifest', name),
    };
  });
  course('crane', () => client, {
    anonymous: /401 Unauthorized/,
    refused: /DENIED: bob may not push to apps\/crane/,
    immutable: /(?:denied|DENIED): the tag v1 is immutable/,
    full: /(?:denied|DENIED): quota: small\/crane may have 1000 B/,
    mirrored: /plain\/library\/crane is mirrored: nothing can be pushed to it/,
  });

  test('copies with mounts, tags and deletes', async () => {
    await client.login('alice');
    const commands: readonly (readonly string[])[] = [
      ['copy', `${host}/apps/crane:1`, `${host}/apps/crane-copy:1`],
      ['copy', `${host}/library/base:1`, `${host}/apps/base:1`],
      ['tag', `${host}/apps/crane-copy:1`, 'other'],
      ['validate', '--remote', `${host}/apps/crane-copy:other`],
      ['delete', `${host}/apps/crane-copy:other`],
    ];
    for (const command of commands) {
      const done = await crane(...command);
      assert.equal(done.code, 0, `${command.join(' ')}: ${said(done)}`);
    }
    assert.equal((await crane('ls', `${host}/apps/crane-copy`)).stdout.trim(), '1');
  });
});

describe('oras', needsGoTools('oras'), () => {
  let client: PushingClient;
  before(async () => {
    const file = workspace.path('oras-auth.json');
    // Larger than the quota.
    const note = await workspace.file('note.txt', 'an artifact\n'.repeat(1000));
    const options = ['--plain-http', '--registry-config', file];
    const oras = (...args: readonly string[]) => run([goTool('oras'), ...args]);
    client = {
      login: (user) => oras('login', ...options, '-u', user, '-p', passwordOf(user), host),
      logout: () => oras('logout', '--registry-config', file, host),
      push: (name) =>
        oras('push', ...options, '--disable-path-validation', '--artifact-type=text/note', name, `${note}:text/plain`),
      pull: (name) => oras('manifest', 'fetch', ...options, name),
    };
  });
  course('oras', () => client, {
    anonymous: /401: Unauthorized/,
    refused: /denied: bob may not push to apps\/oras/,
    immutable: /denied: the tag v1 is immutable/,
    full: /denied: quota: small\/oras may have 1000 B/,
    mirrored: /plain\/library\/oras is mirrored: nothing can be pushed to it/,
  });
});

describe('helm', needsGoTools('helm'), () => {
  test('pushes a chart, and pulls it', async () => {
    const chart = await workspace.file('chart/Chart.yaml', 'apiVersion: v2\nname: chart\nversion: 1.2.3\n');
    const config = workspace.path('helm-registry.json');
    const helm = async (...args: readonly string[]): Promise<RunResult> => {
      const done = await run([goTool('helm'), ...args]);
      assert.equal(done.code, 0, `${args.join(' ')}: ${said(done)}`);
      return done;
    };
    const remote = ['--plain-http', '--registry-config', config];
    await helm('package', dirname(chart), '--destination', workspace.dir);
    await helm('registry', 'login', host, '-u', 'alice', '-p', passwordOf('alice'), ...remote);
    await helm('push', workspace.path('chart-1.2.3.tgz'), `oci://${host}/apps/charts`, ...remote);
    const shown = await helm('show', 'chart', `oci://${host}/apps/charts/chart`, '--version', '1.2.3', ...remote);
    assert.match(said(shown), /^version: 1\.2\.3$/m);
  });
});

describe('without access:', needs('dockerd', 'docker', 'root'), () => {
  test('docker and skopeo say what the operator has to do', async () => {
    const open = await startEntrepot(workspace, {
      registries: { apps: { hosted: true } },
      cache: { dir: workspace.path('cache-open') },
    });
    const env = {
      ...process.env,
      DOCKER_HOST: `unix://${workspace.path('docker.sock')}`,
      DOCKER_CONFIG: workspace.path('docker-config-open'),
    };
    const name = `${open.host}/apps/web:1`;
    await run(['docker', 'tag', `${host}/library/base:1`, name], { env });
    const says =
      /denied: only a user may push, .* sets access with a rule that allows push, and adds a user with: entrepot users add NAME/;
    assert.match(said(await run(['docker', 'push', name], { env })), says);
    const skopeo = ['skopeo', 'copy', '--all', '--dest-tls-verify=false', `oci:${layout}:image`, `docker://${name}`];
    assert.match(said(await run(skopeo)), says);
  });
});

describe('a push through to docker-registry', needs('docker-registry', 'skopeo'), () => {
  test('arrives there, and is pulled from the cache while the registry is down', async () => {
    const registry = await startDockerRegistry(workspace);
    const through = await startEntrepot(workspace, {
      default_registry: 'behind',
      registries: { behind: { upstreams: [registry.url], push: ['ours/**'] } },
      cache: { dir: workspace.path('cache-through') },
      access: {
        htpasswd: workspace.path('htpasswd'),
        rules: [{ who: 'alice', may: ['pull', 'push', 'delete'], on: ['behind/**'] }],
      },
    });
    const credential = ['--dest-creds', `alice:${passwordOf('alice')}`];
    const copy = (target: string) =>
      run([
        'skopeo',
        'copy',
        '--all',
        '--dest-tls-verify=false',
        ...credential,
        `oci:${layout}:image`,
        `docker://${target}`,
      ]);
    const pushed = await copy(`${through.host}/ours/app:1`);
    assert.equal(pushed.code, 0, said(pushed));
    const there = await fetch(`${registry.url}/v2/ours/app/manifests/${image.index.digest}`, {
      headers: { accept: image.index.mediaType },
    });
    assert.deepEqual(Buffer.from(await there.arrayBuffer()), image.index.bytes);
    const refused = await copy(`${through.host}/theirs/app:1`);
    assert.match(said(refused), /behind\/theirs\/app is mirrored: nothing can be pushed to it/);
    await registry.process.stop();
    for (const { digest, bytes } of image.blobs) {
      const pulled = await fetch(`http://${through.host}/v2/ours/app/blobs/${digest}`, { headers: alice });
      assert.deepEqual(Buffer.from(await pulled.arrayBuffer()), bytes);
    }
  });
});

test('what was pushed has its own bytes, and no upstream heard of it', async () => {
  const { bytes } = manifest;
  const target = { host, repository: 'acme/last', headers: alice };
  await pushImage(target, image, '1');
  const answer = await fetch(`http://${host}/v2/acme/last/manifests/${manifest.digest}`, { headers: alice });
  assert.deepEqual(Buffer.from(await answer.arrayBuffer()), bytes);
  assert.equal(upstream.count({ repository: 'acme/last' }), 0);
});
