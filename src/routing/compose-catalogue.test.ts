import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { complete, upstreamSpec } from '../../test/support/transport-spec.ts';
import type { Catalogue } from './catalogue.ts';
import { type CatalogueOptions, composeCatalogue } from './compose-catalogue.ts';
import { parseRegistryMap, type RegistryMap } from './registry-map.ts';

function compose(options: Omit<CatalogueOptions, 'complete'>): Catalogue {
  const { catalogue, problems } = composeCatalogue({ ...options, complete });
  assert.deepEqual(problems, []);
  assert.ok(catalogue);
  return catalogue;
}

function mapOf(entries: Record<string, string>): RegistryMap {
  const { map } = parseRegistryMap(JSON.stringify(entries));
  assert.ok(map);
  return map;
}

function urls(catalogue: Catalogue, name: string): string[] | undefined {
  return catalogue.byName(name)?.upstreams.map(({ url }) => url);
}

describe('composeCatalogue() without any option', () => {
  const catalogue = compose({});

  test('has Docker Hub for its default, with its quirks', () => {
    const { name, library, upstreams, hosts, pathNames } = catalogue.default;
    assert.equal(name, 'docker.io');
    assert.equal(library, true);
    assert.deepEqual(pathNames, []);
    assert.ok(hosts.includes('index.docker.io'));
    assert.equal(upstreams[0]?.url, 'https://registry-1.docker.io');
    assert.equal(upstreams[0].name, 'registry-1.docker.io');
    assert.deepEqual(upstreams[0].tokenRealms, ['auth.docker.io']);
    assert.deepEqual(upstreams[0].capabilities, ['pull', 'resolve']);
    assert.equal(upstreams[0].redirectHosts, undefined);
    assert.equal(upstreams[0].addresses, undefined);
  });

  const names: readonly [name: string, registry: string | undefined][] = [
    ['ghcr.io', 'ghcr.io'],
    ['GHCR.IO', 'ghcr.io'],
    ['ghcr.io.', 'ghcr.io'],
    ['ghcr.io:443', 'ghcr.io'],
    ['ghcr.io:5000', undefined],
    ['registry-1.docker.io', 'docker.io'],
    ['us-docker.pkg.dev', 'us-docker.pkg.dev'],
    ['eu.gcr.io', 'eu.gcr.io'],
    ['registry.example.com', undefined],
    ['localhost', undefined],
    ['ghcr', undefined],
    ['', undefined],
    ['__proto__', undefined],
    ['constructor', undefined],
  ];
  for (const [name, registry] of names) {
    test(`?ns=${name} means ${registry ?? 'nothing'}`, () => {
      assert.equal(catalogue.byName(name)?.name, registry);
      assert.equal(catalogue.byPathName(name)?.name, registry);
    });
  }

  const aliases: readonly [alias: string, registry: string | undefined][] = [
    ['docker', 'docker.io'],
    ['GHCR', 'ghcr.io'],
    ['ghcr.io', 'ghcr.io'],
    ['k8s', 'registry.k8s.io'],
    ['us-docker.pkg.dev', 'us-docker.pkg.dev'],
    ['nothing', undefined],
  ];
  for (const [alias, registry] of aliases) {
    test(`/${alias}/v2/ means ${registry ?? 'nothing'}`, () => assert.equal(catalogue.byAlias(alias)?.name, registry));
  }

  test('a region of pkg.dev is made once, and must have a public address', () => {
    const region = catalogue.byHost('us-west1-docker.pkg.dev');
    assert.equal(region, catalogue.byName('us-west1-docker.pkg.dev'));
    assert.equal(region?.upstreams[0]?.addresses, 'public');
    assert.equal(
      catalogue.list().some(({ name }) => name.endsWith('pkg.dev')),
      false,
    );
  });
});

describe("the operator's registries", () => {
  test('a known one needs nothing, and keeps what is known of it', () => {
    const { upstreams, library } = compose({ registries: { 'docker.io': {} } }).default;
    assert.equal(library, true);
    assert.equal(upstreams[0]?.url, 'https://registry-1.docker.io');
  });

  test('a known one is known by any of its hosts', () => {
    const catalogue = compose({ registries: { 'Index.Docker.io': { upstreams: [{ url: 'http://localhost:5001' }] } } });
    assert.deepEqual(urls(catalogue, 'docker.io'), ['http://localhost:5001']);
    assert.equal(catalogue.default.library, true);
    assert.deepEqual(catalogue.default.upstreams[0]?.tokenRealms, []);
  });

  test('upstreams in order, each with its own settings', () => {
    const credentials = { username: 'u', password: { env: 'P' } };
    const catalogue = compose({
      registries: {
        apps: {
          aliases: ['a', 'apps.example.com'],
          delivery: 'redirect',
          upstreams: [
            {
              url: 'https://hot.example.com/v2/',
              credentials,
              headers: { 'User-Agent': 'entrepot' },
              capabilities: ['pull'],
            },
            {
              url: 'http://localhost:5001/team/',
              name: 'cold',
              tls: { insecureSkipVerify: true },
              redirectHosts: ['*.x.example'],
            },
          ],
        },
      },
    });
    const apps = catalogue.byPathName('apps');
    assert.deepEqual(apps, {
      name: 'apps',
      hosts: ['apps.example.com'],
      aliases: ['a'],
      pathNames: ['apps', 'a'],
      library: false,
      delivery: 'redirect',
      upstreams: [
        upstreamSpec({
          name: 'hot.example.com',
          url: 'https://hot.example.com',
          credentials,
          headers: { 'User-Agent': 'entrepot' },
          capabilities: ['pull'],
        }),
        upstreamSpec({
          name: 'cold',
          url: 'http://localhost:5001/team',
          tls: { insecureSkipVerify: true },
          redirectHosts: ['*.x.example'],
        }),
      ],
    });
    for (const found of [catalogue.byName('a'), catalogue.byName('apps.example.com'), catalogue.byAlias('apps')]) {
      assert.equal(found, apps);
    }
  });

  test('an unknown host is asked over https', () => {
    assert.deepEqual(urls(compose({ registries: { 'registry.example.com:5000': {} } }), 'registry.example.com:5000'), [
      'https://registry.example.com:5000',
    ]);
  });

  test('an upstream that is a known host keeps its realms under any name', () => {
    const catalogue = compose({
      registries: { nvidia: { upstreams: [{ url: 'https://nvcr.io', tokenRealms: ['sso.example.com'] }] } },
    });
    assert.deepEqual(catalogue.byName('nvidia')?.upstreams[0]?.tokenRealms, ['authn.nvidia.com', 'sso.example.com']);
  });

  test('a registry whose upstreams are all Docker Hub has library/, unless told otherwise', () => {
    const hub = { url: 'https://registry-1.docker.io' };
    const catalogue = compose({
      registries: {
        hub: { upstreams: [hub] },
        mixed: { upstreams: [hub, { url: 'https://mirror.example.com' }] },
        plain: { upstreams: [hub], library: false },
        told: { upstreams: [{ url: 'https://mirror.example.com' }], library: true },
      },
    });
    const library = ['hub', 'mixed', 'plain', 'told'].map((name) => catalogue.byName(name)?.library);
    assert.deepEqual(library, [true, false, false, true]);
  });

  test('two prefixes of one host are told apart by a number', () => {
    const upstreams = [{ url: 'https://x.example/a' }, { url: 'https://x.example/b' }];
    const names = compose({ registries: { apps: { upstreams } } })
      .byName('apps')
      ?.upstreams.map(({ name }) => name);
    assert.deepEqual(names, ['x.example', 'x.example#2']);
  });

  for (const [url, found, remedy] of [
    [
      'https://harbor.example.com/v2/dockerhub',
      '/v2/dockerhub',
      'https://harbor.example.com", repository_prefix: dockerhub',
    ],
    ['https://harbor.example.com/v2/a/b/', '/v2/a/b/', 'https://harbor.example.com", repository_prefix: a/b'],
    ['https://x.example/api/v2/a/v2', '/api/v2/a/v2', 'https://x.example/api", repository_prefix: a'],
  ] as const) {
    test(`a repository behind /v2/ in ${url} is refused with the option for it`, () => {
      const { problems } = composeCatalogue({ registries: { 'docker.io': { upstreams: [{ url }] } }, complete });
      const [problem = '', ...others] = problems;
      assert.deepEqual(others, []);
      assert.ok(problem.startsWith(`registries.docker.io.upstreams[0].url: found the path ${found}, `), problem);
      assert.ok(problem.includes(`[{url: "${remedy}}]`), problem);
    });
  }

  test("an operator's word beats a built-in alias", () => {
    const catalogue = compose({
      registries: {
        docker: { upstreams: [{ url: 'https://registry.example.com' }] },
        'registry.example.org': { aliases: ['ghcr'] },
      },
    });
    assert.equal(catalogue.byAlias('docker')?.name, 'docker');
    assert.equal(catalogue.byPathName('docker')?.name, 'docker');
    assert.deepEqual(catalogue.byName('docker.io')?.aliases, []);
    assert.equal(catalogue.byAlias('ghcr')?.name, 'registry.example.org');
    assert.deepEqual(catalogue.byName('ghcr.io')?.aliases, []);
  });

  test('an alias an operator repeats for a known registry may stand in paths', () => {
    const catalogue = compose({ registries: { 'ghcr.io': { aliases: ['ghcr'] } } });
    assert.equal(catalogue.byPathName('ghcr')?.name, 'ghcr.io');
    assert.deepEqual(catalogue.byName('ghcr.io')?.aliases, ['ghcr']);
  });

  test('without the known ones only what is listed is there', () => {
    const catalogue = compose({ knownRegistries: false, registries: { 'quay.io': {} }, defaultRegistry: 'quay.io' });
    assert.deepEqual(
      catalogue.list().map(({ name }) => name),
      ['quay.io'],
    );
    assert.equal(catalogue.byName('ghcr.io'), undefined);
    assert.equal(catalogue.byName('us-docker.pkg.dev'), undefined);
    assert.equal(catalogue.byAlias('quay')?.name, 'quay.io');
  });
});

describe('a registry map', () => {
  test("crproxy's own changes nothing", () => {
    const registryMap = mapOf({
      default: 'https://registry-1.docker.io',
      docker: 'https://registry-1.docker.io',
      ecr: 'https://public.ecr.aws',
      ghcr: 'https://ghcr.io',
      k8s: 'https://registry.k8s.io',
    });
    const catalogue = compose({ registryMap });
    assert.deepEqual(catalogue.list(), compose({}).list());
    assert.equal(catalogue.default.name, 'docker.io');
    assert.equal(catalogue.byPathName('docker'), undefined);
  });

  test('brings the registries it names where the known ones are left out', () => {
    const registryMap = mapOf({ default: 'https://ghcr.io', ghcr: 'https://ghcr.io' });
    const catalogue = compose({ knownRegistries: false, registryMap });
    assert.deepEqual(
      catalogue.list().map(({ name }) => name),
      ['ghcr.io'],
    );
    assert.equal(catalogue.byAlias('ghcr')?.name, 'ghcr.io');
  });

  test('sends a known registry elsewhere and keeps its quirks', () => {
    for (const key of ['docker', 'docker.io', 'registry-1.docker.io']) {
      const catalogue = compose({ registryMap: mapOf({ [key]: 'https://mirror.example.com' }) });
      assert.deepEqual(urls(catalogue, 'docker.io'), ['https://mirror.example.com']);
      assert.equal(catalogue.default.library, true);
    }
  });

  test('a word of its own is one more name of a known registry, in paths too', () => {
    const catalogue = compose({ registryMap: mapOf({ hub: 'https://registry-1.docker.io' }) });
    assert.equal(catalogue.byAlias('hub')?.name, 'docker.io');
    assert.equal(catalogue.byPathName('hub')?.name, 'docker.io');
    assert.deepEqual(catalogue.default.aliases, ['docker', 'hub']);
  });

  test('a known word moved to another known registry stays out of paths', () => {
    const catalogue = compose({ registryMap: mapOf({ docker: 'https://quay.io' }) });
    assert.equal(catalogue.byAlias('docker')?.name, 'quay.io');
    assert.equal(catalogue.byPathName('docker'), undefined);
  });

  test('anything else is a registry of its own', () => {
    const catalogue = compose({ registryMap: mapOf({ apps: 'http://localhost:5001' }) });
    for (const found of [catalogue.byAlias('apps'), catalogue.byPathName('apps'), catalogue.byName('apps')]) {
      assert.equal(found?.name, 'apps');
      assert.equal(found.upstreams[0]?.url, 'http://localhost:5001');
    }
  });

  test("gives way to the operator's registries", () => {
    const registryMap = mapOf({ apps: 'http://localhost:5001', docker: 'http://localhost:5002' });
    const catalogue = compose({
      registryMap,
      registries: { apps: { delivery: 'redirect' }, 'docker.io': { upstreams: [{ url: 'http://localhost:5003' }] } },
    });
    assert.deepEqual(urls(catalogue, 'apps'), ['http://localhost:5001']);
    assert.equal(catalogue.byName('apps')?.delivery, 'redirect');
    assert.deepEqual(urls(catalogue, 'docker.io'), ['http://localhost:5003']);
  });
});

describe('the default registry', () => {
  const apps = { upstreams: [{ url: 'https://harbor.example.com/hub' }], aliases: ['a'] };
  const registries = { apps, 'localhost:5001': { upstreams: [{ url: 'http://127.0.0.1:5001' }] } };
  const rows: readonly [defaultRegistry: string, name: string, url: string][] = [
    ['ghcr.io', 'ghcr.io', 'https://ghcr.io'],
    ['GHCR.io.', 'ghcr.io', 'https://ghcr.io'],
    ['ghcr', 'ghcr.io', 'https://ghcr.io'],
    ['index.docker.io', 'docker.io', 'https://registry-1.docker.io'],
    ['us-docker.pkg.dev', 'us-docker.pkg.dev', 'https://us-docker.pkg.dev'],
    ['apps', 'apps', 'https://harbor.example.com/hub'],
    ['a', 'apps', 'https://harbor.example.com/hub'],
    ['https://registry-1.docker.io', 'docker.io', 'https://registry-1.docker.io'],
    ['https://registry-1.docker.io/v2/', 'docker.io', 'https://registry-1.docker.io'],
    ['https://docker.io/', 'docker.io', 'https://registry-1.docker.io'],
    ['https://harbor.example.com/hub/', 'apps', 'https://harbor.example.com/hub'],
    ['https://harbor.example.com', 'harbor.example.com', 'https://harbor.example.com'],
    ['http://localhost:5001', 'localhost:5001', 'http://127.0.0.1:5001'],
    ['http://127.0.0.1:5009', '127.0.0.1:5009', 'http://127.0.0.1:5009'],
    ['http://registry/team', 'registry', 'http://registry/team'],
  ];
  for (const [defaultRegistry, name, url] of rows) {
    test(`${defaultRegistry} is ${name}`, () => {
      const catalogue = compose({ defaultRegistry, registries });
      assert.equal(catalogue.default.name, name);
      assert.equal(catalogue.default.upstreams[0]?.url, url);
      assert.ok(catalogue.list().includes(catalogue.default));
    });
  }

  test("beats the map's", () => {
    const registryMap = mapOf({ default: 'https://ghcr.io' });
    assert.equal(compose({ registryMap }).default.name, 'ghcr.io');
    assert.equal(compose({ registryMap, defaultRegistry: 'quay.io' }).default.name, 'quay.io');
  });

  test('made from an address is no path name unless it looks like a registry', () => {
    assert.equal(compose({ defaultRegistry: 'http://registry' }).byPathName('registry'), undefined);
    assert.equal(
      compose({ defaultRegistry: 'http://registry:5000' }).byPathName('registry:5000')?.name,
      'registry:5000',
    );
  });
});

describe('the domain suffix', () => {
  for (const [text, suffix] of [
    ['mirror.example.com', 'mirror.example.com'],
    ['.Mirror.Example.com.', 'mirror.example.com'],
    ['localhost', 'localhost'],
    ['', undefined],
  ] as const) {
    test(`${JSON.stringify(text)} is ${suffix}`, () => {
      assert.equal(compose({ domainSuffix: text }).domainSuffix, suffix);
    });
  }
});

describe('what can be pushed', () => {
  const hosting = (registries: NonNullable<CatalogueOptions['registries']>, name: string) =>
    compose({ registries }).byName(name);

  test('a word that is hosted needs no upstreams, has none, and is no Docker Hub', () => {
    const apps = hosting({ apps: { hosted: ['**'] } }, 'apps');
    assert.deepEqual(apps?.upstreams, []);
    assert.equal(apps?.library, false);
    assert.deepEqual(apps?.hosting, { hosted: ['**'], push: [], immutableTags: [], sparse: false });
  });

  test('a host that is hosted has no upstream either, known or not', () => {
    for (const name of ['ghcr.io', 'registry.example.com']) {
      assert.deepEqual(hosting({ [name]: { hosted: ['**'] } }, name)?.upstreams, []);
    }
  });

  test('patterns beside upstreams leave them', () => {
    const ghcr = hosting(
      { 'ghcr.io': { hosted: ['acme/**'], push: ['ours/**'], quota: 5, keepUntagged: 7 } },
      'ghcr.io',
    );
    assert.equal(ghcr?.upstreams.length, 1);
    const common = { immutableTags: [], sparse: false, quota: 5, keepUntagged: 7 };
    assert.deepEqual(ghcr?.hosting, { hosted: ['acme/**'], push: ['ours/**'], ...common });
  });

  test('a pattern may have its registry in front, and library/ where Docker Hub has it', () => {
    const hub = hosting(
      {
        'index.docker.io': {
          hosted: ['docker.io/acme/**', 'registry-1.docker.io/b/*', 'nginx', '**/x'],
          immutableTags: ['v*', 'docker.io/acme/app:v*', 'nginx:1.*', 'acme/**'],
        },
      },
      'docker.io',
    );
    assert.deepEqual(hub?.hosting?.hosted, ['acme/**', 'b/*', 'library/nginx', '**/x']);
    assert.deepEqual(hub?.hosting?.immutableTags, ['v*', 'acme/app:v*', 'library/nginx:1.*', 'acme/**:*']);
    const apps = hosting({ apps: { hosted: ['apps/**', 'a.b/c'], upstreams: [{ url: 'https://x.example' }] } }, 'apps');
    assert.deepEqual(apps?.hosting?.hosted, ['**', 'a.b/c']);
  });

  test('nothing where nothing is set', () => {
    const ghcr = hosting({ 'ghcr.io': { hosted: [], push: [], immutableTags: ['x'], sparse: true } }, 'ghcr.io');
    assert.ok(ghcr !== undefined && !('hosting' in ghcr));
  });
});

describe('problems', () => {
  const url = 'https://registry.example.com';
  const upstreams = [{ url }];
  const rows: readonly [why: string, options: Omit<CatalogueOptions, 'complete'>, problem: RegExp][] = [
    ['a word without upstreams', { registries: { apps: {} } }, /^registries\.apps: .*does not say where/],
    [
      'a known alias without upstreams',
      { registries: { ghcr: {} } },
      /write registries: \{ghcr\.io: \{aliases: \[ghcr\]\}\}/,
    ],
    [
      'hosted beside upstreams',
      { registries: { apps: { upstreams, hosted: ['**'] } } },
      /^registries\.apps: found upstreams beside hosted: true/,
    ],
    ['some hosted without upstreams', { registries: { apps: { hosted: ['a/**'] } } }, /or hosted: true for images/],
    [
      'a hosted pattern that no repository has',
      { registries: { 'ghcr.io': { hosted: ['acme/**', 'Acme/*'] } } },
      /^registries\.ghcr\.io\.hosted\[1\]: "Acme\/\*" matches nothing: names of repositories are in lower case/,
    ],
    [
      'a hosted pattern with a tag',
      { registries: { 'ghcr.io': { hosted: ['acme/app:v1'] } } },
      /^registries\.ghcr\.io\.hosted\[0\]: .*leave the tag out/,
    ],
    [
      'an immutable tag that is none',
      { registries: { apps: { hosted: ['**'], immutableTags: ['-x'] } } },
      /^registries\.apps\.immutable_tags\[0\]: "-x" matches nothing: a tag begins/,
    ],
    [
      'what is hosted and pushed through',
      { registries: { 'docker.io': { hosted: ['docker.io/acme/*'], push: ['acme/app'] } } },
      /^registries\.docker\.io\.push\[0\]: acme\/app and docker\.io\/acme\/\* under hosted have repositories in common/,
    ],
    ['localhost without upstreams', { registries: { 'localhost:5001': {} } }, /^registries\.localhost:5001: /],
    ['a name that is none', { registries: { 'a b': { upstreams } } }, /^registries\.a b: found "a b", expected a host/],
    ['v2 for a name', { registries: { v2: { upstreams } } }, /^registries\.v2: /],
    ['an upper-case word', { registries: { 'a/B': { upstreams } } }, /^registries\.a\/B: /],
    ['an IPv6 address for a name', { registries: { '[::1]:5000': { upstreams } } }, /^registries\.\[::1\]:5000: /],
    ['no upstream', { registries: { apps: { upstreams: [] } } }, /^registries\.apps\.upstreams: found an empty list/],
    [
      'an upstream that is no address',
      { registries: { apps: { upstreams: [{ url: 'htp://x' }] } } },
      /^registries\.apps\.upstreams\[0\]\.url: found "htp:\/\/x", expected an http:\/\/ or https:\/\/ address/,
    ],
    [
      'one upstream name twice',
      {
        registries: {
          apps: {
            upstreams: [
              { url, name: 'x' },
              { url: `${url}/b`, name: 'x' },
            ],
          },
        },
      },
      /^registries\.apps\.upstreams\[1\]\.name: "x"/,
    ],
    [
      'an alias that is none',
      { registries: { 'ghcr.io': { aliases: ['a/b'] } } },
      /^registries\.ghcr\.io\.aliases: found "a\/b"/,
    ],
    [
      'one alias for two',
      { registries: { 'ghcr.io': { aliases: ['x'] }, 'quay.io': { aliases: ['x'] } } },
      /^registries\.quay\.io\.aliases: "x" cannot mean quay\.io, as it means ghcr\.io already/,
    ],
    [
      "another registry's name for an alias",
      { registries: { 'ghcr.io': { aliases: ['quay.io'] } } },
      /^registries\.ghcr\.io\.aliases: "quay\.io" cannot mean ghcr\.io, as it is a registry of its own/,
    ],
    [
      "a key of the map for another registry's alias",
      { registryMap: mapOf({ x: url }), registries: { 'ghcr.io': { aliases: ['x'] } } },
      /^registries\.ghcr\.io\.aliases: "x" .* registry of its own/,
    ],
    ['an unknown default', { defaultRegistry: 'nothing' }, /^default_registry: found "nothing"; expected/],
    ['an unknown host for default', { defaultRegistry: 'registry.example.com' }, /an address such as https:/],
    [
      'a mistyped default',
      { defaultRegistry: 'dokcer.io' },
      /found "dokcer\.io"; expected .*; did you mean docker\.io\?$/,
    ],
    ['a bad default address', { defaultRegistry: 'ftp://x' }, /^default_registry: found "ftp:\/\/x"/],
    ['no default left', { knownRegistries: false }, /^default_registry: docker\.io is not among the registries/],
    [
      'a default that takes the name of another',
      { defaultRegistry: `${url}/team`, registries: { 'registry.example.com': {} } },
      /^default_registry: https:\/\/registry\.example\.com\/team would be called registry\.example\.com/,
    ],
    ['an IPv6 default', { defaultRegistry: 'http://[::1]:5000' }, /^default_registry: .* list it under "registries"/],
    ['a suffix with a port', { domainSuffix: 'mirror.example.com:5000' }, /^domain_suffix: /],
    ['an address for suffix', { domainSuffix: '10.0.0.1' }, /^domain_suffix: /],
  ];
  for (const [why, options, problem] of rows) {
    test(`${why} is one`, () => {
      const { catalogue, problems } = composeCatalogue({ ...options, complete });
      assert.equal(catalogue, undefined);
      assert.equal(problems.length, 1, problems.join('\n'));
      assert.match(problems[0] ?? '', problem);
    });
  }

  test('are all reported at once, and none tells a secret', () => {
    const { problems } = composeCatalogue({
      complete,
      defaultRegistry: 'https://user:hunter2@x.example',
      domainSuffix: 'a b',
      registries: { apps: {}, 'b c': {}, x: { upstreams: [{ url: 'https://u:hunter2@x.example' }], aliases: ['/'] } },
    });
    assert.equal(problems.length, 6, problems.join('\n'));
    assert.doesNotMatch(problems.join('\n'), /hunter2/);
  });

  test('a registry called __proto__ is one', () => {
    const registries = JSON.parse('{"__proto__": {}}');
    assert.match(composeCatalogue({ registries, complete }).problems[0] ?? '', /^registries\.__proto__: /);
  });
});
