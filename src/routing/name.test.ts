import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { complete } from '../../test/support/transport-spec.ts';
import { isRepositoryName, OciError, parseRegistryPath } from '../oci/index.ts';
import type { Catalogue } from './catalogue.ts';
import { type CatalogueOptions, composeCatalogue } from './compose-catalogue.ts';
import { type NameRequest, qualifyRepository, type ResolvedName, resolveName } from './name.ts';

function compose(options: Omit<CatalogueOptions, 'complete'>): Catalogue {
  const { catalogue, problems } = composeCatalogue({ ...options, complete });
  assert.deepEqual(problems, []);
  assert.ok(catalogue);
  return catalogue;
}

const REGISTRIES = {
  apps: { upstreams: [{ url: 'https://hot.example.com' }], aliases: ['my-apps', 'apps.example.com'] },
  'localhost:5001': { upstreams: [{ url: 'http://localhost:5001' }] },
  'registry.corp.example:5000': {},
};
const CATALOGUE = compose({ registries: REGISTRIES, domainSuffix: 'mirror.example.com' });
const HEX = 'a'.repeat(64);

function ask(
  path: string,
  { host, ns }: { host?: string | undefined; ns?: string | undefined } = {},
  catalogue = CATALOGUE,
) {
  return resolveName(catalogue, { path, host, ns });
}

describe('resolveName()', () => {
  type Row = readonly [host: string | undefined, path: string, ns: string | undefined, name: string];
  // What is expected is written `registry path prefix by`.
  const rows: readonly Row[] = [
    // N1: a bare name.
    ['127.0.0.1:5000', '/v2/', undefined, 'docker.io /v2/ /v2/ default'],
    ['127.0.0.1:5000', '/v2', undefined, 'docker.io /v2/ /v2/ default'],
    ['127.0.0.1:5000', '/v2/nginx/manifests/x', undefined, 'docker.io /v2/nginx/manifests/x /v2/ default'],
    [
      'localhost:5000',
      '/v2/library/nginx/manifests/x',
      undefined,
      'docker.io /v2/library/nginx/manifests/x /v2/ default',
    ],
    [undefined, '/v2/a/b/tags/list', undefined, 'docker.io /v2/a/b/tags/list /v2/ default'],
    ['', '/v2/a/b/tags/list', undefined, 'docker.io /v2/a/b/tags/list /v2/ default'],
    ['[::1]:5000', '/v2/a/b/tags/list', undefined, 'docker.io /v2/a/b/tags/list /v2/ default'],
    ['10.0.0.7', '/v2/_catalog', undefined, 'docker.io /v2/_catalog /v2/ default'],
    ['some.other.host', '/v2/a/manifests/x', undefined, 'docker.io /v2/a/manifests/x /v2/ default'],
    ['not a host', '/v2/a/manifests/x', undefined, 'docker.io /v2/a/manifests/x /v2/ default'],
    [
      'registry.corp.example:5000',
      '/v2/a/manifests/x',
      undefined,
      'registry.corp.example:5000 /v2/a/manifests/x /v2/ host',
    ],
    ['registry.corp.example', '/v2/a/manifests/x', undefined, 'docker.io /v2/a/manifests/x /v2/ default'],
    ['ghcr.io:8443', '/v2/a/b/manifests/x', undefined, 'ghcr.io /v2/a/b/manifests/x /v2/ host'],
    // N2: the registry in the path.
    [
      undefined,
      '/v2/ghcr.io/owner/image/manifests/x',
      undefined,
      'ghcr.io /v2/owner/image/manifests/x /v2/ghcr.io/ path',
    ],
    [undefined, '/v2/docker.io/nginx/manifests/x', undefined, 'docker.io /v2/nginx/manifests/x /v2/docker.io/ path'],
    [
      undefined,
      '/v2/index.docker.io/a/b/tags/list',
      undefined,
      'docker.io /v2/a/b/tags/list /v2/index.docker.io/ path',
    ],
    [undefined, '/v2/GHCR.io/a/b/tags/list', undefined, 'ghcr.io /v2/a/b/tags/list /v2/GHCR.io/ path'],
    [undefined, '/v2/ghcr.io/_catalog', undefined, 'ghcr.io /v2/_catalog /v2/ghcr.io/ path'],
    [undefined, '/v2/ghcr.io/a/blobs/uploads/', undefined, 'ghcr.io /v2/a/blobs/uploads/ /v2/ghcr.io/ path'],
    [undefined, `/v2/ghcr.io/a/blobs/sha256:${HEX}`, undefined, `ghcr.io /v2/a/blobs/sha256:${HEX} /v2/ghcr.io/ path`],
    [
      undefined,
      '/v2/localhost:5001/app/manifests/x',
      undefined,
      'localhost:5001 /v2/app/manifests/x /v2/localhost:5001/ path',
    ],
    [
      undefined,
      '/v2/us-docker.pkg.dev/p/r/i/manifests/x',
      undefined,
      'us-docker.pkg.dev /v2/p/r/i/manifests/x /v2/us-docker.pkg.dev/ path',
    ],
    [
      undefined,
      '/v2/registry.corp.example:5000/a/manifests/x',
      undefined,
      'registry.corp.example:5000 /v2/a/manifests/x /v2/registry.corp.example:5000/ path',
    ],
    [undefined, '/v2/apps/web/manifests/x', undefined, 'apps /v2/web/manifests/x /v2/apps/ path'],
    [undefined, '/v2/my-apps/web/manifests/x', undefined, 'apps /v2/web/manifests/x /v2/my-apps/ path'],
    [undefined, '/v2/apps/_catalog', undefined, 'apps /v2/_catalog /v2/apps/ path'],
    // What is a repository of the default registry, though it could be taken for more.
    [undefined, '/v2/apps/manifests/x', undefined, 'docker.io /v2/apps/manifests/x /v2/ default'],
    [
      undefined,
      '/v2/docker/dockerfile/manifests/1',
      undefined,
      'docker.io /v2/docker/dockerfile/manifests/1 /v2/ default',
    ],
    [
      undefined,
      '/v2/gitlab/gitlab-ce/manifests/x',
      undefined,
      'docker.io /v2/gitlab/gitlab-ce/manifests/x /v2/ default',
    ],
    [undefined, '/v2/ghcr.io/manifests/x', undefined, 'docker.io /v2/ghcr.io/manifests/x /v2/ default'],
    [undefined, '/v2/my.app/tags/list', undefined, 'docker.io /v2/my.app/tags/list /v2/ default'],
    [undefined, '/v2/v2/manifests/x', undefined, 'docker.io /v2/v2/manifests/x /v2/ default'],
    // N3: the registry in the host name.
    ['mirror.example.com', '/v2/nginx/manifests/x', undefined, 'docker.io /v2/nginx/manifests/x /v2/ default'],
    ['mirror.example.com', '/v2/ghcr.io/a/b/manifests/x', undefined, 'ghcr.io /v2/a/b/manifests/x /v2/ghcr.io/ path'],
    ['ghcr.mirror.example.com', '/v2/a/b/manifests/x', undefined, 'ghcr.io /v2/a/b/manifests/x /v2/ host'],
    ['GHCR.Mirror.Example.Com.:8443', '/v2/a/b/manifests/x', undefined, 'ghcr.io /v2/a/b/manifests/x /v2/ host'],
    ['ghcr.io.mirror.example.com', '/v2/a/b/manifests/x', undefined, 'ghcr.io /v2/a/b/manifests/x /v2/ host'],
    ['docker.mirror.example.com', '/v2/nginx/manifests/x', undefined, 'docker.io /v2/nginx/manifests/x /v2/ host'],
    ['apps.mirror.example.com', '/v2/web/manifests/x', undefined, 'apps /v2/web/manifests/x /v2/ host'],
    ['my-apps.mirror.example.com', '/v2/', undefined, 'apps /v2/ /v2/ host'],
    ['ghcr.io', '/v2/a/b/manifests/x', undefined, 'ghcr.io /v2/a/b/manifests/x /v2/ host'],
    ['registry-1.docker.io', '/v2/library/a/manifests/x', undefined, 'docker.io /v2/library/a/manifests/x /v2/ host'],
    ['apps.example.com', '/v2/web/manifests/x', undefined, 'apps /v2/web/manifests/x /v2/ host'],
    ['us-docker.pkg.dev', '/v2/p/r/manifests/x', undefined, 'us-docker.pkg.dev /v2/p/r/manifests/x /v2/ host'],
    // An address or localhost tells where this server is, even where a registry has that name.
    ['localhost:5001', '/v2/a/b/manifests/x', undefined, 'docker.io /v2/a/b/manifests/x /v2/ default'],
    ['quay.mirror.example.com', '/v2/ghcr.io/a/manifests/x', undefined, 'quay.io /v2/ghcr.io/a/manifests/x /v2/ host'],
    [
      'quay.mirror.example.com',
      '/v2/quay.io/a/b/manifests/x',
      undefined,
      'quay.io /v2/a/b/manifests/x /v2/quay.io/ host',
    ],
    // N4: ?ns=.
    ['127.0.0.1:5000', '/v2/a/b/manifests/x', 'ghcr.io', 'ghcr.io /v2/a/b/manifests/x /v2/ ns'],
    ['127.0.0.1:5000', '/v2/', 'ghcr.io', 'ghcr.io /v2/ /v2/ ns'],
    ['127.0.0.1:5000', '/v2/library/nginx/manifests/x', 'docker.io', 'docker.io /v2/library/nginx/manifests/x /v2/ ns'],
    [undefined, '/v2/a/manifests/x', 'localhost:5001', 'localhost:5001 /v2/a/manifests/x /v2/ ns'],
    [undefined, '/v2/a/manifests/x', 'apps', 'apps /v2/a/manifests/x /v2/ ns'],
    [undefined, '/v2/apps/manifests/x', 'apps', 'apps /v2/apps/manifests/x /v2/ ns'],
    // A registry's own word is repeated as its host is.
    [undefined, '/v2/apps/web/manifests/x', 'apps', 'apps /v2/web/manifests/x /v2/apps/ ns'],
    [undefined, '/apps/v2/apps/web/tags/list', undefined, 'apps /v2/web/tags/list /apps/v2/apps/ prefix'],
    [undefined, '/v2/apps/_catalog', 'apps', 'apps /v2/_catalog /v2/apps/ ns'],
    [undefined, '/v2/apps/web/manifests/x', 'ghcr.io', 'ghcr.io /v2/apps/web/manifests/x /v2/ ns'],
    // A built-in short name is part of the repository's name, here as everywhere.
    [
      undefined,
      '/v2/docker/dockerfile/manifests/x',
      'docker.io',
      'docker.io /v2/docker/dockerfile/manifests/x /v2/ ns',
    ],
    [
      undefined,
      '/docker/v2/docker/dockerfile/tags/list',
      undefined,
      'docker.io /v2/docker/dockerfile/tags/list /docker/v2/ prefix',
    ],
    ['quay.mirror.example.com', '/v2/a/b/manifests/x', 'ghcr.io', 'ghcr.io /v2/a/b/manifests/x /v2/ ns'],
    [undefined, '/quay/v2/a/b/manifests/x', 'ghcr.io', 'ghcr.io /v2/a/b/manifests/x /quay/v2/ ns'],
    [undefined, '/v2/quay.io/a/manifests/x', 'ghcr.io', 'ghcr.io /v2/quay.io/a/manifests/x /v2/ ns'],
    // hosts.toml with `override_path` and the registry in the path repeats it.
    [undefined, '/v2/ghcr.io/a/b/manifests/x', 'ghcr.io', 'ghcr.io /v2/a/b/manifests/x /v2/ghcr.io/ ns'],
    [
      undefined,
      '/v2/index.docker.io/a/b/manifests/x',
      'docker.io',
      'docker.io /v2/a/b/manifests/x /v2/index.docker.io/ ns',
    ],
    // N5: in front of /v2/.
    [undefined, '/ghcr/v2/', undefined, 'ghcr.io /v2/ /ghcr/v2/ prefix'],
    [undefined, '/ghcr/v2', undefined, 'ghcr.io /v2/ /ghcr/v2/ prefix'],
    [undefined, '/ghcr/v2/a/b/manifests/x', undefined, 'ghcr.io /v2/a/b/manifests/x /ghcr/v2/ prefix'],
    [undefined, '/ghcr.io/v2/a/b/manifests/x', undefined, 'ghcr.io /v2/a/b/manifests/x /ghcr.io/v2/ prefix'],
    [undefined, '/docker/v2/nginx/manifests/x', undefined, 'docker.io /v2/nginx/manifests/x /docker/v2/ prefix'],
    [undefined, '/apps/v2/web/tags/list', undefined, 'apps /v2/web/tags/list /apps/v2/ prefix'],
    [undefined, '/ghcr/v2/ghcr.io/a/b/tags/list', undefined, 'ghcr.io /v2/a/b/tags/list /ghcr/v2/ghcr.io/ prefix'],
    [undefined, '/ghcr/v2/v2/manifests/v2', undefined, 'ghcr.io /v2/v2/manifests/v2 /ghcr/v2/ prefix'],
    ['quay.mirror.example.com', '/ghcr/v2/a/tags/list', undefined, 'quay.io /v2/a/tags/list /ghcr/v2/ host'],
  ];
  for (const [host, path, ns, expected] of rows) {
    test(`${host ?? '-'} ${path.slice(0, 50)} ns=${ns ?? '-'} is ${expected.slice(0, 60)}`, () => {
      const { registry, path: rest, addressing, namedBy } = ask(path, { host, ns });
      assert.equal(`${registry.name} ${rest} ${addressing.prefix} ${namedBy}`, expected);
      assert.equal(addressing.ns, ns);
    });
  }

  const refused: readonly [host: string | undefined, path: string, ns: string | undefined, code: string][] = [
    [undefined, '/v2/a/manifests/x', 'unknown.example.com', 'NAME_UNKNOWN'],
    [undefined, '/v2/a/manifests/x', '', 'NAME_UNKNOWN'],
    [undefined, '/v2/a/manifests/x', 'ghcr', 'NAME_UNKNOWN'],
    [undefined, '/v2/a/manifests/x', '127.0.0.1:6379', 'NAME_UNKNOWN'],
    [undefined, '/v2/a/manifests/x', 'https://ghcr.io', 'NAME_UNKNOWN'],
    [undefined, '/v2/a/manifests/x', 'ghcr.io/../x', 'NAME_UNKNOWN'],
    [undefined, '/v2/', 'unknown', 'NAME_UNKNOWN'],
    [undefined, '/v2/a/manifests/x', '__proto__', 'NAME_UNKNOWN'],
    [undefined, '/v2/unknown.example.com/a/manifests/x', undefined, 'NAME_UNKNOWN'],
    [undefined, '/v2/unknown.example.com/_catalog', undefined, 'NAME_UNKNOWN'],
    [undefined, '/v2/localhost/a/manifests/x', undefined, 'NAME_UNKNOWN'],
    [undefined, '/v2/localhost:5002/a/manifests/x', undefined, 'NAME_UNKNOWN'],
    [undefined, '/v2/ghcr.io:5000/a/manifests/x', undefined, 'NAME_UNKNOWN'],
    [undefined, '/v2/169.254.169.254/latest/manifests/x', undefined, 'NAME_UNKNOWN'],
    ['unknown.mirror.example.com', '/v2/a/manifests/x', undefined, 'NAME_UNKNOWN'],
    ['unknown.mirror.example.com', '/v2/', undefined, 'NAME_UNKNOWN'],
    [undefined, '/unknown/v2/', undefined, 'NAME_UNKNOWN'],
    [undefined, '/unknown/v2/a/manifests/x', 'ghcr.io', 'NAME_UNKNOWN'],
    [undefined, '/', undefined, 'UNSUPPORTED'],
    [undefined, '', undefined, 'UNSUPPORTED'],
    [undefined, '//v2/a/manifests/x', undefined, 'UNSUPPORTED'],
    [undefined, '/ghcr/a/v2/', undefined, 'UNSUPPORTED'],
    [undefined, '/ghcr/v2x/a', undefined, 'UNSUPPORTED'],
    [undefined, '/v2/ghcr.io/', undefined, 'UNSUPPORTED'],
    [undefined, '/v2/ghcr.io/a', undefined, 'UNSUPPORTED'],
    // Decoded once: what is then still encoded, or another separator, or a step upwards, is no name.
    [undefined, '/v2/a%252fb/manifests/x', undefined, 'NAME_INVALID'],
    [undefined, '/v2/a%2525/manifests/x', undefined, 'NAME_INVALID'],
    [undefined, '/v2/%2e%2e/a/manifests/x', undefined, 'NAME_INVALID'],
    [undefined, '/v2/a%2f..%2fb/manifests/x', undefined, 'NAME_INVALID'],
    [undefined, '/v2/a%2f%2e%2e%2fb/manifests/x', undefined, 'NAME_INVALID'],
    [undefined, '/v2/a/manifests/%2e%2e', undefined, 'NAME_INVALID'],
    [undefined, '/v2/a%5cb/manifests/x', undefined, 'NAME_INVALID'],
    [undefined, '/v2/a%00b/manifests/x', undefined, 'NAME_INVALID'],
    [undefined, '/v2/a%0d%0ab/manifests/x', undefined, 'NAME_INVALID'],
    [undefined, '/v2/a/manifests/x%00', undefined, 'NAME_INVALID'],
    [undefined, '/v2/a/manifests/x%', undefined, 'NAME_INVALID'],
    [undefined, '/v2/a/manifests/%zz', undefined, 'NAME_INVALID'],
    [undefined, '/v2/a/manifests/%ff', undefined, 'NAME_INVALID'],
    [undefined, '/v2/a/manifests/%c0%ae%c0%ae', undefined, 'NAME_INVALID'],
    [undefined, '/gh%63r/v2/a/manifests/x', undefined, 'NAME_UNKNOWN'],
    [undefined, '/v2%2fa/manifests/x', undefined, 'UNSUPPORTED'],
    [undefined, `/v2/${'a/'.repeat(4000)}manifests/x`, undefined, 'NAME_INVALID'],
  ];
  for (const [host, path, ns, code] of refused) {
    test(`${host ?? '-'} ${path.slice(0, 50)} ns=${ns ?? '-'} is refused with ${code}`, () => {
      assert.throws(() => ask(path, { host, ns }), {
        name: 'OciError',
        code,
        status: code === 'NAME_INVALID' ? 400 : 404,
      });
    });
  }

  const encoded: readonly [path: string, means: string][] = [
    ['/v2/library%2Fnginx/manifests/latest', '/v2/library/nginx/manifests/latest'],
    ['/v2/library%2fnginx/tags/list', '/v2/library/nginx/tags/list'],
    [`/v2/a/blobs/sha256%3A${'a'.repeat(64)}`, `/v2/a/blobs/sha256:${'a'.repeat(64)}`],
    ['/v2/a%2Fb%2Fmanifests%2Fx', '/v2/a/b/manifests/x'],
    ['/v2/a/manifests/%6Catest', '/v2/a/manifests/latest'],
    ['/v2/ghcr%2Eio%2Fa%2Fb/manifests/x', '/v2/ghcr.io/a/b/manifests/x'],
    ['/v2/%67hcr.io/a/manifests/x', '/v2/ghcr.io/a/manifests/x'],
    ['/ghcr/v2/a%2Fb/manifests/x', '/ghcr/v2/a/b/manifests/x'],
  ];
  for (const [path, means] of encoded) {
    test(`${path.slice(0, 50)} is read as it is without its encoding`, () => {
      assert.deepEqual(ask(path), ask(means));
      assert.deepEqual(parseRegistryPath(ask(path).path), parseRegistryPath(ask(means).path));
    });
  }

  for (const path of ['/v2//a/manifests/x', '/v2/a%2F%2Fb/manifests/x', '/v2/a..b/c/manifests/x']) {
    test(`${path} is left to the grammar of names, which refuses it`, () => {
      assert.throws(() => parseRegistryPath(ask(path).path), { code: 'NAME_INVALID', status: 400 });
    });
  }

  test('without a suffix no sub-host means anything', () => {
    const { registry, namedBy } = ask('/v2/a/tags/list', { host: 'ghcr.mirror.example.com' }, compose({}));
    assert.equal(registry.name, 'docker.io');
    assert.equal(namedBy, 'default');
  });

  test('the suffix itself means the default, even where a registry has its name', () => {
    const catalogue = compose({ domainSuffix: 'quay.io' });
    assert.equal(ask('/v2/a/tags/list', { host: 'quay.io' }, catalogue).registry.name, 'docker.io');
    assert.equal(ask('/v2/a/tags/list', { host: 'ghcr.quay.io' }, catalogue).registry.name, 'ghcr.io');
  });

  test('a suffix under localhost works', () => {
    const catalogue = compose({ domainSuffix: 'mirror.localhost' });
    assert.equal(ask('/v2/a/tags/list', { host: 'ghcr.mirror.localhost:5000' }, catalogue).registry.name, 'ghcr.io');
    assert.equal(ask('/v2/a/tags/list', { host: 'ghcr.localhost:5000' }, catalogue).registry.name, 'docker.io');
  });

  test('allow_any opens ns and path, and nothing private', () => {
    const catalogue = compose({ allowAny: { deny: ['denied.example.com'] }, domainSuffix: 'mirror.example.com' });
    const inPath = ask('/v2/registry.example.com/a/manifests/x', {}, catalogue);
    assert.equal(inPath.registry.name, 'registry.example.com');
    assert.equal(inPath.path, '/v2/a/manifests/x');
    const byNs = ask('/v2/a/manifests/x', { ns: 'registry.example.com:5000' }, catalogue);
    assert.equal(byNs.registry.upstreams[0]?.url, 'https://registry.example.com:5000');
    for (const name of ['denied.example.com', '127.0.0.1:5000', 'localhost', '169.254.169.254', 'a.internal']) {
      assert.throws(() => ask(`/v2/${name}/a/manifests/x`, {}, catalogue), { code: 'NAME_UNKNOWN' });
      assert.throws(() => ask('/v2/a/manifests/x', { ns: name }, catalogue), { code: 'NAME_UNKNOWN' });
    }
    const host = 'registry.example.com.mirror.example.com';
    assert.throws(() => ask('/v2/a/manifests/x', { host }, catalogue), { code: 'NAME_UNKNOWN' });
    assert.equal(ask('/v2/a/manifests/x', { host: 'registry.example.com' }, catalogue).registry.name, 'docker.io');
  });

  test('says that ns decides, where it is unknown and the path names a registry', () => {
    for (const path of ['/ghcr/v2/a/manifests/x', '/v2/ghcr.io/a/manifests/x', '/v2/a/manifests/x']) {
      assert.throws(() => ask(path, { ns: 'nowhere.example' }), {
        message:
          'unknown registry "nowhere.example" in the query (?ns=), which decides over host and path; /help lists those known here',
      });
    }
    assert.throws(() => ask('/nowhere/v2/a/manifests/x', { ns: 'ghcr.io' }), {
      message: 'unknown registry "nowhere"; /help lists those known here',
    });
  });

  test('suggests the registry of which an unknown name is a misspelling', () => {
    assert.throws(() => ask('/v2/gchr.io/a/manifests/x'), {
      message: 'unknown registry "gchr.io" (did you mean ghcr.io?); /help lists those known here',
    });
    assert.throws(() => ask('/v2/a/manifests/x', { ns: 'qay.io' }), {
      message:
        'unknown registry "qay.io" in the query (?ns=), which decides over host and path (did you mean quay.io?); /help lists those known here',
    });
  });

  test('tells an unknown name no longer than a reader needs, and with its control characters escaped', () => {
    assert.throws(
      () => ask('/v2/a/manifests/x', { ns: `\u001b[31m\r\n${'x'.repeat(5000)}` }),
      (error: unknown) =>
        error instanceof OciError && error.message.length < 250 && /^[\x20-\x7e]*$/.test(error.message),
    );
  });

  const word = fc.constantFrom(
    ...'v2 ghcr ghcr.io docker.io apps localhost localhost:5001 manifests blobs tags list uploads _catalog latest'.split(
      ' ',
    ),
    ...'.. a A %2e a.b 127.0.0.1 __proto__ us-docker.pkg.dev'.split(' '),
    `sha256:${HEX}`,
    '',
  );
  const hostile = fc.oneof({ weight: 4, arbitrary: word }, fc.string({ maxLength: 20 }));
  const segments = fc.array(hostile, { maxLength: 6 }).map((each) => each.join('/'));
  const tail = fc.constantFrom('/manifests/latest', '/tags/list', `/blobs/sha256:${HEX}`, '/_catalog', '');
  const request: fc.Arbitrary<NameRequest> = fc.record({
    host: fc.option(
      fc.oneof(
        hostile,
        hostile.map((name) => `${name}.mirror.example.com`),
      ),
      { nil: undefined, freq: 1 },
    ),
    path: fc.oneof(
      fc
        .tuple(fc.constantFrom('', '', '/ghcr', '/apps', '/x'), segments, tail)
        .map(([front, name, end]) => `${front}/v2/${name}${end}`),
      segments.map((name) => `/${name}`),
      fc.string(),
    ),
    ns: fc.option(hostile, { nil: undefined, freq: 1 }),
  });

  test('gives a registry of the catalogue or an OciError, whatever is asked', () => {
    const registries = new Set(CATALOGUE.list());
    let resolved = 0;
    fc.assert(
      fc.property(request, (asked) => {
        const name = nameOrUndefined(asked);
        if (name === undefined) return;
        resolved++;
        assert.ok(registries.has(name.registry) || name.registry.name.endsWith('.pkg.dev'));
        assert.ok(name.path.startsWith('/v2/'));
        assert.ok(/^(\/[^/]+)?\/v2\/([^/]+\/)?$/.test(name.addressing.prefix), name.addressing.prefix);
        // What is left is what the client wrote, decoded once and without what named the registry.
        assert.ok(
          decodeURIComponent(asked.path) === `${name.addressing.prefix}${name.path.slice('/v2/'.length)}` ||
            name.path === '/v2/',
        );
      }),
      { numRuns: 5000 },
    );
    assert.ok(resolved > 500, `only ${resolved} of 5000 requests named anything`);
  });

  test('leads parseRegistryPath() to names only', () => {
    fc.assert(
      fc.property(request, (asked) => {
        const name = nameOrUndefined(asked);
        if (name === undefined) return;
        try {
          const parsed = parseRegistryPath(name.path);
          if ('repository' in parsed) assert.ok(isRepositoryName(parsed.repository));
        } catch (error) {
          assert.ok(error instanceof OciError, String(error));
        }
      }),
      { numRuns: 5000 },
    );
  });
});

describe('qualifyRepository()', () => {
  const rows: readonly [path: string, repository: string][] = [
    ['/v2/nginx/manifests/x', 'library/nginx'],
    ['/v2/library/nginx/manifests/x', 'library/nginx'],
    ['/v2/docker.io/nginx/manifests/x', 'library/nginx'],
    ['/v2/owner/image/manifests/x', 'owner/image'],
    ['/v2/ghcr.io/image/manifests/x', 'image'],
  ];
  for (const [path, repository] of rows) {
    test(`${path} is of ${repository}`, () => {
      const { registry, path: rest } = ask(path);
      const parsed = parseRegistryPath(rest);
      assert.ok(parsed.kind === 'manifest');
      assert.equal(qualifyRepository(registry, parsed.repository), repository);
    });
  }
});

function nameOrUndefined(request: NameRequest): ResolvedName | undefined {
  try {
    return resolveName(CATALOGUE, request);
  } catch (error) {
    assert.ok(error instanceof OciError, String(error));
    return undefined;
  }
}
