import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { parse } from 'yaml';
import { OPERATIONS } from '../../src/admin/index.ts';
import { operate } from '../support/api-stage.ts';
import { openTunnelTo } from '../support/forward-stage.ts';
import { buildImage } from '../support/image.ts';
import { runImport } from '../support/import-cases.ts';
import { startMirror } from '../support/mirror.ts';
import { Workspace } from '../support/processes.ts';
import { rawRequest } from '../support/raw-request.ts';
import { type ScriptedUpstream, startScriptedUpstream } from '../support/scripted-upstream.ts';
import { startSite } from '../support/site.ts';

// A configuration that is imported is one that serves: each is imported with the address of a scripted upstream in it, a
// server is started from the result, and an image is pulled through it.

const REPOSITORY = 'team/app';
const ACCOUNT = { username: 'robot', password: 'hush' };
const image = buildImage({ seed: 'import' });
const [layer] = image.blobs.filter(({ bytes }) => bytes.length > 100_000);

let workspace: Workspace;
let cases = 0;
let upstream: ScriptedUpstream;
/** Has nothing, so what is asked of it first comes from the next. */
let empty: ScriptedUpstream;
let guarded: ScriptedUpstream;
before(async () => {
  workspace = await Workspace.open();
  upstream = await startScriptedUpstream();
  empty = await startScriptedUpstream();
  guarded = await startScriptedUpstream({ personality: 'ecr', credentials: ACCOUNT });
  upstream.add(image, REPOSITORY, ['latest']);
  upstream.add(image, `mirrored/${REPOSITORY}`, ['latest']);
  upstream.add(image, 'library/app', ['latest']);
  guarded.add(image, REPOSITORY, ['latest']);
});
after(async () => {
  await Promise.all([upstream, empty, guarded].map((each) => each.stop()));
  await workspace.close();
});

/** The configuration that files become, on a free port and with a cache of its own. */
async function imported(files: Readonly<Record<string, string>>): Promise<Record<string, unknown>> {
  const cwd = workspace.path(`case-${(cases += 1)}`);
  for (const [name, content] of Object.entries(files)) {
    await mkdir(dirname(join(cwd, name)), { recursive: true });
    await writeFile(join(cwd, name), content);
  }
  const { code, out, err } = await runImport(Object.keys(files), { cwd });
  assert.equal(code, 0, err);
  const { cache, ...config } = parse(out) as Record<string, unknown>;
  // The directory in it is one of another machine.
  const { dir: _, ...kept } = typeof cache === 'object' ? (cache as Record<string, unknown>) : {};
  return { ...config, listen: '127.0.0.1:0', cache: typeof cache === 'string' ? cache : kept };
}

interface Pull {
  /** The path before `manifests/` and `blobs/`. @default `/v2/team/app` */
  readonly path?: string;
  /** The query. */
  readonly ns?: string;
  readonly host?: string;
}

/** Starts a server and pulls a manifest and a layer through it, following a redirect to the upstream. */
async function pulls(
  config: Record<string, unknown>,
  { path = `/v2/${REPOSITORY}`, ns, host }: Pull = {},
): Promise<void> {
  await using mirror = await startMirror(config);
  const query = ns === undefined ? '' : `?ns=${ns}`;
  const headers = host === undefined ? {} : { host };
  const manifest = await mirror.get(`${path}/manifests/latest${query}`, headers);
  assert.equal(manifest.status, 200, manifest.body.toString());
  assert.ok(manifest.body.equals(image.index.bytes));
  assert.ok(layer !== undefined);
  const answer = await mirror.get(`${path}/blobs/${layer.digest}${query}`, headers);
  if (answer.status === 307) {
    const target = new URL(String(answer.headers['location']));
    const blob = await rawRequest(target.host, { path: target.pathname + target.search });
    assert.equal(blob.status, 200);
    assert.ok(blob.body.equals(layer.bytes));
    return;
  }
  assert.equal(answer.status, 200, answer.body.toString().slice(0, 300));
  assert.ok(answer.body.equals(layer.bytes));
}

describe('what is imported is served', () => {
  test('Mirror Registry: the hot registry lacks it, the cold one has it, blobs are redirected', async () => {
    const config = await imported({
      'config.yaml': `server: {port: 5000}\nregistry:\n  hot: {url: "${empty.url}"}\n  cold: {url: "${upstream.url}"}\n`,
    });
    empty.forget();
    await pulls(config);
    assert.ok(empty.count({ kind: 'manifest' }) > 0, 'the hot registry is asked first');
  });

  test('Mirror Registry: its variables, with a password of their own', async () => {
    await pulls(
      await imported({
        'config.yaml': `registry:\n  hot: {url: "${guarded.url}", username: robot, password: old}\n`,
        'mirror.env': `MIRROR_REGISTRY_HOT_PASSWORD=${ACCOUNT.password}\n`,
      }),
    );
  });

  test('crproxy: a registry of its map, by path and by sub-host; the default of a flag', async () => {
    const config = await imported({
      'registrymap.json': JSON.stringify({ default: 'https://registry-1.docker.io', apps: upstream.url }),
      'run.sh': `crproxy -listen=:5000 -domain-suffix=mirror.example.com -default-registry=${upstream.url}`,
    });
    await pulls(config, { path: `/v2/apps/${REPOSITORY}` });
    await pulls(config, { host: 'apps.mirror.example.com' });
    await pulls(config);
  });

  test('crproxy 2026: its configuration', async () => {
    const config = await imported({
      'crproxy-config.json': JSON.stringify({ registryMap: { apps: upstream.url }, cacheDir: '/var/cache/crproxy' }),
    });
    await pulls(config, { path: `/apps/v2/${REPOSITORY}` });
  });

  test('Rewriting Mirror: the route with the registry API, and a route to a site', async () => {
    await using site = await startSite({ '/file': (_, response) => void response.end('hello') });
    const config = await imported({
      'config.json': JSON.stringify({
        listen: '127.0.0.1:5000',
        routes: [
          { name: 'docker-registry', public_prefix: '/v2/', upstream: `${upstream.url}/v2/` },
          { name: 'site', public_prefix: '/site/', upstream: site.url },
        ],
      }),
    });
    await pulls(config);
    await using mirror = await startMirror(config);
    assert.equal((await mirror.get('/site/file')).body.toString(), 'hello');
  });

  test('Container Registry Mirrors: a tunnel to an allowed host, and none to another', async () => {
    const { forward_proxy: forward, ...config } = await imported({
      'config.yaml': 'listen: 127.0.0.1:8080\nallowed_hosts: ["^127[.]0[.]0[.]1$"]\nlog_level: debug\n',
    });
    // The scripted upstream is on this machine, on a port that the kernel chose.
    const { port } = new URL(upstream.url);
    const forwardProxy = { ...(forward as object), allow_private: ['127.0.0.1'], ports: [Number(port)] };
    await using mirror = await startMirror({ ...config, forward_proxy: forwardProxy });
    const own = { port: Number(new URL(mirror.url).port) };
    (await openTunnelTo(own, upstream.host)).destroy();
    await assert.rejects(openTunnelTo(own, `localhost:${port}`), /403/);
  });

  test('docxy: Docker Hub, with library/', async () => {
    const config = await imported({ 'run.sh': 'PORT=8080 ./target/release/docxy' });
    await pulls({ ...config, registries: { 'docker.io': { upstreams: [upstream.url] } } }, { path: '/v2/app' });
  });

  test('wharf: a registry by its host, and the default one', async () => {
    const config = await imported({
      'wharf.toml': `
[server]
http_port = 8080
behind_proxy = true
[registry]
default = "apps"
[[registry.upstreams]]
name = "apps"
hosts = ["apps.example.com"]
upstream_registry = "${upstream.url}"
auth_realm = "${upstream.url}/token"
auth_service = "apps"
`,
    });
    await pulls(config, { host: 'apps.example.com' });
    await pulls(config);
  });

  test('distribution: its upstream, with the credential', async () => {
    const text = `version: 0.1\nhttp: {addr: ":5000"}\nproxy:\n  remoteurl: ${guarded.url}\n  username: robot\n  password: hush\n`;
    await pulls(await imported({ 'config.yml': text }));
    const variables = `services:\n  cache:\n    image: registry:2\n    environment:\n      REGISTRY_PROXY_REMOTEURL: ${upstream.url}\n`;
    await pulls(await imported({ 'compose.yaml': variables }));
  });

  test('hubproxy: a registry of its list', async () => {
    const text = `[rateLimit]\nrequestLimit = 500\n[registries."apps.example.com"]\nupstream = "${upstream.url}"\nauthType = "anonymous"\nenabled = true\n`;
    await pulls(await imported({ 'config.toml': text }), { path: `/v2/apps.example.com/${REPOSITORY}` });
  });

  test('Mirror-RegistryX: the registry of its list', async () => {
    const text = `registries:\n  - {id: local, url: "${upstream.url}"}\nmirrors:\n  - {source: "docker.io/library/busybox:latest"}\n`;
    await pulls(await imported({ 'mirrors.yml': text }), { path: `/v2/local/${REPOSITORY}` });
  });

  test('Mirror-RegistryX: its images are copied to the registry that they name', async () => {
    const config = await imported({
      'mirrors.yml': `registries:
  - {id: from, url: "${upstream.url}"}
  - {id: local, url: "${empty.url}"}
mirrors:
  - {source: "from/${REPOSITORY}:latest", target: "localhost:5000/${REPOSITORY}:latest", registry: local}
settings: {check_interval_minutes: 30}
`,
    });
    await using mirror = await startMirror(config);
    const { schedules } = await operate(mirror, OPERATIONS.schedules);
    assert.deepEqual(
      schedules.map(({ name, schedule, copies }) => [name, schedule, copies]),
      [
        [
          'mirrors',
          'every 30m',
          [{ from: `from/${REPOSITORY}:latest`, to: `local/${REPOSITORY}:latest`, allTags: false }],
        ],
      ],
    );
  });

  test('k3s: an endpoint with a rewrite, and one with a credential', async () => {
    const text = `
mirrors:
  apps.example.com:
    endpoint: ["${upstream.url}/v2"]
    rewrite: {"(.*)": "mirrored/$1"}
  guarded.example.com:
    endpoint: ["${guarded.url}"]
configs:
  "${guarded.host}":
    auth: {auth: ${Buffer.from('robot:hush').toString('base64')}}
`;
    const config = await imported({ 'registries.yaml': text });
    upstream.forget();
    await pulls(config, { ns: 'apps.example.com' });
    assert.ok(
      upstream.requests.some(({ url }) => url.includes(`/v2/mirrored/${REPOSITORY}/`)),
      upstream.journal(),
    );
    await pulls(config, { ns: 'guarded.example.com' });
  });

  test('containerd: hosts.toml of two registries, the first host lacks it', async () => {
    const config = await imported({
      'apps.example.com/hosts.toml': `server = "${upstream.url}"\n[host."${empty.url}"]\ncapabilities = ["pull", "resolve"]\n`,
      'more.example.com_5000_/hosts.toml': `[host."${upstream.url}/v2/mirrored"]\noverride_path = true\n`,
    });
    await pulls(config, { ns: 'apps.example.com' });
    await pulls(config, { ns: 'more.example.com:5000' });
  });

  test('podman: a mirror with a path', async () => {
    const text = `[[registry]]\nprefix = "apps.example.com"\n[[registry.mirror]]\nlocation = "${upstream.host}/mirrored"\ninsecure = true\n`;
    await pulls(await imported({ 'registries.conf': text }), { path: `/v2/apps.example.com/${REPOSITORY}` });
  });

  test('Docker: a mirror of Docker Hub', async () => {
    const text = JSON.stringify({ 'registry-mirrors': [`${upstream.url}/`] });
    await pulls(await imported({ 'daemon.json': text }), { path: '/v2/app' });
  });
});
