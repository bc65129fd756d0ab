import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { SettingsError } from '../../src/app/settings/error.ts';
import { serve } from '../support/connect-upstreams.ts';
import { buildImage, type TestImage } from '../support/image.ts';
import { type Mirror, type MirrorOptions, startMirror } from '../support/mirror.ts';
import { Workspace } from '../support/processes.ts';
import type { RawResponse } from '../support/raw-request.ts';
import { type ScriptedUpstream, startScriptedUpstream } from '../support/scripted-upstream.ts';

// docs/naming.md, line by line: every way of naming an image, all on one port, asked by raw requests.

/** What each registry holds: repositories, every one of them with its own image tagged `1`. */
const SHELVES = {
  'docker.io': ['library/nginx', 'library/apps', 'docker/dockerfile', 'ghcr/tool', 'owner/image', 'owner/ghcr.io/x'],
  'ghcr.io': ['owner/image', 'docker.io/image', 'nginx'],
  apps: ['web', 'team/web', 'ghcr.io/owner/image'],
  local: ['owner/image', 'nginx'],
} as const;
type Name = keyof typeof SHELVES;
const NAMES = Object.keys(SHELVES) as Name[];

const upstreams = {} as Record<Name, ScriptedUpstream>;
const images = new Map<string, TestImage>();
/** The name of the local registry: a host with its port. */
let localName: string;
let workspace: Workspace;
let mirror: Mirror;

before(async () => {
  workspace = await Workspace.open();
  for (const name of NAMES) {
    const upstream = await startScriptedUpstream({ personality: name === 'docker.io' ? 'dockerHub' : 'plain' });
    for (const repository of SHELVES[name]) {
      const image = buildImage({ seed: `${name}/${repository}`, layers: [100], architectures: ['amd64'] });
      upstream.add(image, repository, ['1']);
      images.set(`${name}/${repository}`, image);
    }
    upstreams[name] = upstream;
  }
  localName = `localhost:${new URL(upstreams.local.url).port}`;
  mirror = await startMirror({
    domain_suffix: 'mirror.example.com',
    registries: {
      'docker.io': { upstreams: [upstreams['docker.io'].url] },
      'ghcr.io': { upstreams: [upstreams['ghcr.io'].url] },
      apps: { upstreams: [upstreams.apps.url], aliases: ['shop'] },
      [localName]: { upstreams: [upstreams.local.url], aliases: ['near'] },
    },
  });
});
after(async () => {
  await mirror.stop();
  for (const name of NAMES) await upstreams[name].stop();
  await workspace.close();
});

interface Named {
  readonly path: string;
  readonly host?: string;
  readonly ns?: string;
}

/** What a name leads to; LOCAL stands for the registry with a port. */
type Way = readonly [named: Named, registry: Name, repository: string];

const SUFFIX = 'mirror.example.com';
const WAYS: Readonly<Record<string, readonly Way[]>> = {
  'N1: a bare name is the default registry’s': [
    [{ path: 'nginx' }, 'docker.io', 'library/nginx'],
    [{ path: 'library/nginx' }, 'docker.io', 'library/nginx'],
    [{ path: 'owner/image' }, 'docker.io', 'owner/image'],
    [{ path: 'docker/dockerfile' }, 'docker.io', 'docker/dockerfile'],
    [{ path: 'ghcr/tool' }, 'docker.io', 'ghcr/tool'],
    [{ path: 'apps' }, 'docker.io', 'library/apps'],
    [{ path: 'owner/ghcr.io/x' }, 'docker.io', 'owner/ghcr.io/x'],
  ],
  'N2: the registry as first component': [
    [{ path: 'ghcr.io/owner/image' }, 'ghcr.io', 'owner/image'],
    [{ path: 'ghcr.io/nginx' }, 'ghcr.io', 'nginx'],
    [{ path: 'docker.io/nginx' }, 'docker.io', 'library/nginx'],
    [{ path: 'index.docker.io/nginx' }, 'docker.io', 'library/nginx'],
    [{ path: 'registry-1.docker.io/library/nginx' }, 'docker.io', 'library/nginx'],
    [{ path: 'apps/web' }, 'apps', 'web'],
    [{ path: 'shop/team/web' }, 'apps', 'team/web'],
    [{ path: 'near/owner/image' }, 'local', 'owner/image'],
    [{ path: 'LOCAL/owner/image' }, 'local', 'owner/image'],
    [{ path: 'ghcr.io/docker.io/image' }, 'ghcr.io', 'docker.io/image'],
  ],
  'N3: the registry in the host name': [
    [{ path: 'owner/image', host: `ghcr.${SUFFIX}` }, 'ghcr.io', 'owner/image'],
    [{ path: 'owner/image', host: `ghcr.io.${SUFFIX}` }, 'ghcr.io', 'owner/image'],
    [{ path: 'owner/image', host: `GHCR.Mirror.Example.COM.:8443` }, 'ghcr.io', 'owner/image'],
    [{ path: 'nginx', host: `docker.${SUFFIX}:5000` }, 'docker.io', 'library/nginx'],
    [{ path: 'web', host: `apps.${SUFFIX}` }, 'apps', 'web'],
    [{ path: 'web', host: `shop.${SUFFIX}` }, 'apps', 'web'],
    [{ path: 'nginx', host: `near.${SUFFIX}` }, 'local', 'nginx'],
    [{ path: 'owner/image', host: 'ghcr.io' }, 'ghcr.io', 'owner/image'],
    [{ path: 'nginx', host: 'registry-1.docker.io' }, 'docker.io', 'library/nginx'],
    [{ path: 'nginx', host: SUFFIX }, 'docker.io', 'library/nginx'],
    [{ path: 'ghcr.io/owner/image', host: SUFFIX }, 'ghcr.io', 'owner/image'],
    [{ path: 'nginx', host: '192.0.2.7' }, 'docker.io', 'library/nginx'],
    [{ path: 'nginx', host: '[2001:db8::1]:5000' }, 'docker.io', 'library/nginx'],
    [{ path: 'nginx', host: 'localhost:5000' }, 'docker.io', 'library/nginx'],
    [{ path: 'nginx', host: 'some.other.example.com' }, 'docker.io', 'library/nginx'],
  ],
  'N4: ?ns=': [
    [{ path: 'owner/image', ns: 'ghcr.io' }, 'ghcr.io', 'owner/image'],
    [{ path: 'nginx', ns: 'docker.io' }, 'docker.io', 'library/nginx'],
    [{ path: 'library/nginx', ns: 'index.docker.io' }, 'docker.io', 'library/nginx'],
    [{ path: 'web', ns: 'apps' }, 'apps', 'web'],
    [{ path: 'owner/image', ns: 'LOCAL' }, 'local', 'owner/image'],
    [{ path: 'ghcr.io/owner/image', ns: 'ghcr.io' }, 'ghcr.io', 'owner/image'],
    [{ path: 'ghcr.io/owner/image', ns: 'apps' }, 'apps', 'ghcr.io/owner/image'],
  ],
  'N5: a word in front of /v2/': [
    [{ path: '/ghcr/v2/owner/image' }, 'ghcr.io', 'owner/image'],
    [{ path: '/ghcr.io/v2/owner/image' }, 'ghcr.io', 'owner/image'],
    [{ path: '/docker/v2/nginx' }, 'docker.io', 'library/nginx'],
    [{ path: '/apps/v2/web' }, 'apps', 'web'],
    [{ path: '/shop/v2/team/web' }, 'apps', 'team/web'],
    [{ path: '/near/v2/nginx' }, 'local', 'nginx'],
  ],
  'precedence: ns, host, word in front, path, default': [
    [{ path: 'nginx', ns: 'ghcr.io', host: `near.${SUFFIX}` }, 'ghcr.io', 'nginx'],
    [{ path: '/apps/v2/nginx', ns: 'ghcr.io' }, 'ghcr.io', 'nginx'],
    [{ path: '/apps/v2/nginx', host: `near.${SUFFIX}` }, 'local', 'nginx'],
    [{ path: '/apps/v2/ghcr.io/owner/image' }, 'apps', 'ghcr.io/owner/image'],
    [{ path: 'docker.io/image', host: `ghcr.${SUFFIX}` }, 'ghcr.io', 'docker.io/image'],
  ],
};

for (const [title, ways] of Object.entries(WAYS)) {
  describe(title, () => {
    for (const [named, registry, repository] of ways) {
      const host = named.host === undefined ? '' : ` at ${named.host}`;
      const ns = named.ns === undefined ? '' : `?ns=${named.ns}`;
      test(`${named.path}${ns}${host} is ${repository} of ${registry}`, async () => {
        await assertLeads(mirror, named, { registry, repository });
        // And every upstream but this one heard nothing.
        for (const other of NAMES.filter((name) => name !== registry)) {
          assert.equal(upstreams[other].requests.length, 0, upstreams[other].journal());
        }
      });
    }
  });
}

describe('a one-word name of Docker Hub', () => {
  test('has library/ in the path and in the scope of the token', async () => {
    const hub = upstreams['docker.io'];
    hub.revokeTokens();
    hub.forget();
    await using own = await startMirror({ registries: { 'docker.io': { upstreams: [hub.url] } } });
    assert.equal((await own.get('/v2/nginx/manifests/1')).status, 200);
    const tokens = hub.requests.filter((request) => request.at === 'token');
    assert.deepEqual(
      tokens.map((each) => new URL(each.url, hub.url).searchParams.get('scope')),
      ['repository:library/nginx:pull'],
    );
    assert.deepEqual(
      [...new Set(hub.requests.filter((each) => each.kind === 'manifest').map((each) => each.repository))],
      ['library/nginx'],
    );
  });
});

describe('a name that is unknown is refused, and no upstream is asked', () => {
  const unknown: readonly Named[] = [
    { path: 'nginx', ns: 'registry.example.com' },
    { path: 'nginx', ns: 'ghcr' },
    { path: 'nginx', ns: '' },
    { path: 'nginx', ns: '127.0.0.1:5000' },
    { path: 'nginx', ns: 'ghcr.io%2f..' },
    { path: 'nginx', ns: 'http://ghcr.io' },
    // A Kelvin sign, of which k is the lower case.
    { path: 'nginx', ns: '%e2%84%aa8s.gcr.io' },
    { path: 'registry.example.com/a/b' },
    { path: 'localhost:1/a' },
    { path: '10.0.0.1/a' },
    { path: 'nginx', host: `unknown.${SUFFIX}` },
    { path: 'nginx', host: `registry.example.com.${SUFFIX}` },
    { path: '/absent/v2/nginx' },
    { path: '/absent/v2/nginx', ns: 'ghcr.io' },
  ];
  for (const named of unknown) {
    test(JSON.stringify(named), async () => {
      for (const name of NAMES) upstreams[name].forget();
      const answer = await ask(mirror, named);
      assert.equal(answer.status, 404);
      assert.match(answer.body.toString(), /"NAME_UNKNOWN"/);
      for (const name of NAMES) assert.equal(upstreams[name].requests.length, 0, upstreams[name].journal());
    });
  }
});

describe('the registries that are known', () => {
  // /v2/ tells whether a name is a key, and asks no upstream.
  const known = `docker.io ghcr.io quay.io gcr.io us.gcr.io eu.gcr.io asia.gcr.io registry.k8s.io k8s.gcr.io
    public.ecr.aws mcr.microsoft.com nvcr.io docker.elastic.co registry.gitlab.com europe-west1-docker.pkg.dev
    us-docker.pkg.dev`;
  for (const name of known.split(/\s+/)) {
    test(`${name}, by ns, by host and in front`, async () => {
      assert.equal((await mirror.get(`/v2/?ns=${name}`)).status, 200);
      assert.equal((await mirror.get('/v2/', { host: `${name}.${SUFFIX}` })).status, 200);
      assert.equal((await mirror.get(`/${name}/v2/`)).status, 200);
    });
  }
  for (const word of ['docker', 'ghcr', 'quay', 'gcr', 'k8s', 'k8sgcr', 'ecr', 'mcr', 'nvcr', 'elastic', 'gitlab']) {
    test(`${word} as a short name`, async () => assert.equal((await mirror.get(`/${word}/v2/`)).status, 200));
  }
  for (const name of ['pkg.dev', 'a.b.pkg.dev', 'pkg.dev.example.com', 'evilpkg.dev', 'docker.pkg.dev.']) {
    const expected = name.endsWith('.') ? 200 : 404;
    test(`${name} is ${expected === 200 ? 'a' : 'no'} region of pkg.dev`, async () => {
      assert.equal((await mirror.get(`/v2/?ns=${name}`)).status, expected);
    });
  }

  test('known_registries: false leaves only what is listed', async () => {
    const registries = { 'docker.io': { upstreams: [upstreams['docker.io'].url] } };
    await using own = await startMirror({ known_registries: false, registries });
    assert.equal((await own.get('/v2/?ns=docker.io')).status, 200);
    for (const name of ['ghcr.io', 'europe-docker.pkg.dev'])
      assert.equal((await own.get(`/v2/?ns=${name}`)).status, 404);
  });
});

describe('N6: the registry map', () => {
  const answers = (named: Named, registry: Name, repository: string) => (own: Mirror) =>
    assertLeads(own, named, { registry, repository });

  async function check(
    options: { config?: Record<string, unknown>; map: Record<string, string>; flags?: MirrorOptions['flags'] },
    ...checks: ((own: Mirror) => Promise<void>)[]
  ): Promise<void> {
    const text = JSON.stringify(options.map);
    await using site = await serve((_request, response) => response.end(text));
    const file = await workspace.file('registrymap.json', text);
    // The file, its address, and both ways of naming it.
    for (const [config, flags] of [
      [{ registry_map: file }, {}],
      [{ registry_map: `${site.url}/registrymap.json` }, {}],
      [{}, { registryMap: file }],
    ] as const) {
      await using own = await startMirror({ ...options.config, ...config }, { flags: { ...flags, ...options.flags } });
      for (const each of checks) await each(own);
    }
  }

  test('adds registries, as crproxy’s file has them, from a file and from an address', async () => {
    await check(
      {
        map: {
          default: upstreams.local.url,
          shelf: upstreams.apps.url,
          'images.example.com': upstreams['ghcr.io'].url,
        },
      },
      answers({ path: 'nginx' }, 'local', 'nginx'),
      answers({ path: '/shelf/v2/web' }, 'apps', 'web'),
      answers({ path: 'shelf/team/web' }, 'apps', 'team/web'),
      answers({ path: 'images.example.com/owner/image' }, 'ghcr.io', 'owner/image'),
      answers({ path: 'owner/image', ns: 'images.example.com' }, 'ghcr.io', 'owner/image'),
    );
  });

  test('sends a known registry elsewhere, quirks and all', async () => {
    await check(
      { map: { 'docker.io': upstreams['docker.io'].url, 'ghcr.io': upstreams['ghcr.io'].url } },
      answers({ path: 'nginx' }, 'docker.io', 'library/nginx'),
      answers({ path: '/docker/v2/nginx' }, 'docker.io', 'library/nginx'),
      answers({ path: '/ghcr/v2/owner/image' }, 'ghcr.io', 'owner/image'),
    );
  });

  test('its default gives way to --default-registry, by name and by URL', async () => {
    const map = { default: upstreams.local.url, shelf: upstreams.apps.url };
    await check({ map, flags: { defaultRegistry: 'shelf' } }, answers({ path: 'team/web' }, 'apps', 'team/web'));
    const { url } = upstreams['ghcr.io'];
    await check({ map, flags: { defaultRegistry: url } }, answers({ path: 'owner/image' }, 'ghcr.io', 'owner/image'));
  });

  test('a map that cannot be read is told with what is wrong, and nothing is started', async () => {
    const missing = workspace.path('missing.json');
    await assert.rejects(startMirror({}, { flags: { registryMap: missing } }), /missing\.json/);
    const broken = workspace.path('broken.json');
    await writeFile(broken, '{"ghcr": 7, "a b": "https://example.com"}');
    await assert.rejects(startMirror({ registry_map: broken }), (error: unknown) => {
      assert.ok(error instanceof SettingsError, String(error));
      return error.problems.length === 2;
    });
    await using site = await serve((_request, response) => response.writeHead(500).end());
    await assert.rejects(startMirror({ registry_map: site.url }), /500/);
  });
});

describe('--default-registry', () => {
  test('by the URL of a known registry is that registry, with library/ and all', async () => {
    const registries = { 'docker.io': { upstreams: [upstreams['docker.io'].url] } };
    const flags = { defaultRegistry: 'https://registry-1.docker.io' };
    await using own = await startMirror({ registries }, { flags });
    await assertLeads(own, { path: 'nginx' }, { registry: 'docker.io', repository: 'library/nginx' });
  });

  test('by a URL that is not known asks there', async () => {
    await using own = await startMirror({}, { flags: { defaultRegistry: upstreams.local.url } });
    await assertLeads(own, { path: 'nginx' }, { registry: 'local', repository: 'nginx' });
  });

  test('by a name', async () => {
    const registries = { apps: { upstreams: [upstreams.apps.url] } };
    await using own = await startMirror({ registries }, { flags: { defaultRegistry: 'apps' } });
    await assertLeads(own, { path: 'web' }, { registry: 'apps', repository: 'web' });
  });
});

describe('allow_any', () => {
  let open: Mirror;
  before(async () => {
    const registries = { 'docker.io': { upstreams: [upstreams['docker.io'].url] } };
    open = await startMirror({ registries, allow_any: { deny: ['*.internal.example.com', 'secret.example.com'] } });
  });
  after(() => open.stop());

  for (const name of ['registry.example.com', 'registry.example.com:8443', 'ghcr.io']) {
    test(`${name} is a key`, async () => assert.equal((await open.get(`/v2/?ns=${name}`)).status, 200));
  }

  const closed = `127.0.0.1 127.0.0.1:5000 10.0.0.1 192.168.1.1:5000 169.254.169.254 0x7f.1 2130706433
    localhost localhost:5000 a.localhost printer.local vault.internal registry registry:5000 a.lan a.home.arpa
    %5B::1%5D:5000 %5B::ffff:127.0.0.1%5D a.internal.example.com secret.example.com secret.example.com:443
    SECRET.example.com.`;
  for (const name of closed.split(/\s+/)) {
    test(`${name} is none`, async () => {
      assert.equal((await open.get(`/v2/?ns=${name}`)).status, 404);
      // A dotless word is a component of a name like any other, and what is percent-encoded is no name at all.
      if (!/[.:]|^localhost$/.test(name)) return;
      const { status } = await open.get(`/v2/${name.toLowerCase()}/a/manifests/1`);
      assert.ok(status === 404 || status === 400, String(status));
    });
  }

  test('a host that listens here is not asked', async () => {
    upstreams.local.forget();
    const port = new URL(upstreams.local.url).port;
    for (const host of [`127.0.0.1:${port}`, `localhost:${port}`]) {
      assert.equal((await open.get(`/v2/${host}/nginx/manifests/1`)).status, 404);
      assert.equal((await open.get(`/v2/nginx/manifests/1?ns=${host}`)).status, 404);
    }
    assert.equal(upstreams.local.requests.length, 0);
  });

  test('it is no host name and no word in front: those are the operator’s', async () => {
    assert.equal((await open.get('/registry.example.com/v2/')).status, 404);
  });
});

test('OCI-Namespace echoes the ns that was understood, and nothing else', async () => {
  const asked = await mirror.get('/v2/owner/image/manifests/1?ns=ghcr.io');
  assert.equal(asked.headers['oci-namespace'], 'ghcr.io');
  assert.equal((await mirror.get('/v2/ghcr.io/owner/image/manifests/1')).headers['oci-namespace'], undefined);
});

function ask(own: Mirror, { path, host, ns }: Named): Promise<RawResponse> {
  const name = path.replace('LOCAL', localName);
  const query = ns === undefined ? '' : `?ns=${ns.replace('LOCAL', localName)}`;
  const target = `${name.startsWith('/') ? name : `/v2/${name}`}/manifests/1${query}`;
  return own.get(target, host === undefined ? {} : { host });
}

/** Asserts that a name leads to a repository of a registry: its image comes, cold or warm. */
async function assertLeads(
  own: Mirror,
  named: Named,
  { registry, repository }: { registry: Name; repository: string },
): Promise<void> {
  for (const name of NAMES) upstreams[name].forget();
  const answer = await ask(own, named);
  const expected = images.get(`${registry}/${repository}`)?.index;
  assert.equal(answer.status, 200, answer.body.toString());
  assert.equal(answer.headers['docker-content-digest'], expected?.digest);
  assert.ok(expected !== undefined && answer.body.equals(expected.bytes));
}
