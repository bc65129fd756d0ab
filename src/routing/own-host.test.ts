import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { complete } from '../../test/support/transport-spec.ts';
import { composeCatalogue } from './compose-catalogue.ts';
import { parseImagePattern } from './image-pattern.ts';
import { withoutOwnHost } from './own-host.ts';

const { catalogue } = composeCatalogue({
  registries: {
    'localhost:5001': { upstreams: [{ url: 'http://127.0.0.1:5001' }] },
    apps: { upstreams: [{ url: 'http://apps.test' }] },
  },
  domainSuffix: 'mirror.example',
  ownHosts: new Set(['mirror.example:5000', 'mirror.example', '10.0.0.5:5000', 'localhost']),
  allowAny: { deny: [] },
  complete,
});
assert.ok(catalogue !== undefined);

describe('withoutOwnHost', () => {
  for (const [written, expected] of [
    ['mirror.example:5000/docker.io/library/nginx:1', 'docker.io/library/nginx:1'],
    ['MIRROR.example:5000/nginx', 'nginx'],
    ['mirror.example/ghcr.io/ours/app@sha256:0', 'ghcr.io/ours/app@sha256:0'],
    ['mirror.example:443/nginx', 'nginx'],
    ['10.0.0.5:5000/nginx:1.27', 'nginx:1.27'],
    ['localhost:8080/library/nginx', 'library/nginx'],
    ['127.0.0.1:5000/ghcr.io/**', 'ghcr.io/**'],
    ['localhost/nginx', 'nginx'],
    ['ghcr.mirror.example/ours/app:1', 'ghcr.io/ours/app:1'],
    ['ghcr.io.mirror.example:5000/ours/app', 'ghcr.io/ours/app'],
    // Others, and what is no name with a host.
    ['localhost:5001/app', 'localhost:5001/app'],
    ['10.0.0.6:5000/app', '10.0.0.6:5000/app'],
    ['10.0.0.5:5001/app', '10.0.0.5:5001/app'],
    ['unknown.mirror.example/app', 'unknown.mirror.example/app'],
    ['ghcr.io/ours/app', 'ghcr.io/ours/app'],
    ['docker.io/library/nginx', 'docker.io/library/nginx'],
    ['apps/web', 'apps/web'],
    ['localhost:5000', 'localhost:5000'],
    ['library/nginx', 'library/nginx'],
    ['/nginx', '/nginx'],
    ['', ''],
  ] as const) {
    test(`${written}: ${expected}`, () => assert.equal(withoutOwnHost(catalogue, written), expected));
  }

  test('every operation that names images takes them so', () => {
    const named = (text: string): string => parseImagePattern(catalogue, text).text;
    assert.equal(named('mirror.example:5000/docker.io/library/nginx:1'), 'docker.io/library/nginx:1');
    assert.equal(named('localhost:8080/library/nginx'), 'docker.io/library/nginx');
    assert.equal(named('localhost:8080/apps/web:1.0'), 'apps/web:1.0');
    assert.equal(named('localhost:8080/ghcr.io'), 'ghcr.io/**');
    assert.equal(named('localhost:5001/app:1'), 'localhost:5001/app:1');
  });
});
