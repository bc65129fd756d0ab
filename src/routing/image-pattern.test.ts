import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { complete } from '../../test/support/transport-spec.ts';
import { composeCatalogue } from './compose-catalogue.ts';
import { parseImagePattern, parseRepositoryPattern, parseTagPattern } from './image-pattern.ts';

const { catalogue } = composeCatalogue({
  registries: { apps: { upstreams: [{ url: 'http://127.0.0.1:1' }] } },
  knownRegistries: true,
  complete,
});
const DIGEST = `sha256:${'a'.repeat(64)}`;

describe('parseImagePattern()', () => {
  const rows = [
    ['nginx', 'docker.io/library/nginx'],
    ['nginx:1.27', 'docker.io/library/nginx:1.27'],
    ['docker.io/nginx', 'docker.io/library/nginx'],
    ['grafana/grafana:*', 'docker.io/grafana/grafana:*'],
    ['ghcr.io/owner/app', 'ghcr.io/owner/app'],
    ['GHCR.io/owner/app:1.?', 'ghcr.io/owner/app:1.?'],
    ['ghcr.io', 'ghcr.io/**'],
    ['ghcr.io/owner/*:1.*', 'ghcr.io/owner/*:1.*'],
    ['apps/team/app', 'apps/team/app'],
    ['apps', 'apps/**'],
    ['gone.example.com:5000/app:2', 'gone.example.com:5000/app:2'],
    ['**', '**'],
    ['**/nginx:latest', '**/nginx:latest'],
    ['docker.io/**', 'docker.io/**'],
    [DIGEST, DIGEST],
    [`ghcr.io/owner/app@${DIGEST}`, `ghcr.io/owner/app@${DIGEST}`],
    [`nginx:1@${DIGEST}`, `docker.io/library/nginx:1@${DIGEST}`],
  ] as const;
  for (const [text, expected] of rows) {
    test(`takes ${text} for ${expected}`, () => {
      assert.ok(catalogue !== undefined);
      assert.equal(parseImagePattern(catalogue, text).text, expected);
    });
  }

  for (const text of [
    '',
    '/',
    'a//b',
    'ghcr.io/',
    'app@sha256:12',
    'app:',
    'app:a b',
    'app; rm',
    'x'.repeat(5) + '\n',
  ]) {
    test(`refuses ${JSON.stringify(text)}`, () => {
      assert.ok(catalogue !== undefined);
      assert.throws(() => parseImagePattern(catalogue, text), { name: 'OciError', code: 'NAME_INVALID' });
    });
  }
});

describe('parseImagePattern() refuses what no image is called', () => {
  const rows: readonly (readonly [text: string, why: RegExp])[] = [
    ['Nginx', /lower case/],
    ['ghcr.io/Owner/*', /lower case/],
    ['**/App:latest', /lower case/],
    ['ghcr.io/-x', /begins and ends with/],
    ['nginx:-1', /a tag begins with/],
    ['nginx:.*', /a tag begins with/],
  ];
  for (const [text, why] of rows) {
    test(text, () => {
      assert.ok(catalogue !== undefined);
      assert.throws(() => parseImagePattern(catalogue, text), why);
    });
  }
});

describe('parseTagPattern()', () => {
  const matching: readonly (readonly [text: string, pattern: string])[] = [
    ['nginx:latest', 'docker.io/library/nginx:latest'],
    ['nginx', 'docker.io/library/nginx:*'],
    ['*:latest', 'docker.io/library/*:latest'],
    ['grafana/*', 'docker.io/grafana/*:*'],
    ['docker.io/library/*:latest', 'docker.io/library/*:latest'],
    ['docker.io/nginx:1.*', 'docker.io/library/nginx:1.*'],
    ['ghcr.io/owner/**', 'ghcr.io/owner/**:*'],
    ['ghcr.io', 'ghcr.io/**:*'],
    ['apps', 'apps/**:*'],
    ['**', '**:*'],
    ['**:latest', '**:latest'],
    ['**/nginx:?', '**/nginx:?'],
    ['*/library/nginx:1', '*/library/nginx:1'],
    ['*.io/owner/app', '*.io/owner/app:*'],
  ];
  for (const [text, pattern] of matching) {
    test(`takes ${text} for ${pattern}`, () => {
      assert.ok(catalogue !== undefined);
      assert.deepEqual(parseTagPattern(catalogue, text), { pattern, fault: undefined });
    });
  }

  const lost: readonly (readonly [text: string, fault: RegExp])[] = [
    ['dokcer.io/library/nginx', /no registry dokcer\.io; did you mean docker\.io\?/],
    ['gone.example.com/app', /^this server has no registry gone\.example\.com$/],
    ['docker.io/a/b/c:1', /two components/],
    ['ghcr/owner/app:1', /two components/],
    ['*.example.com/team/app', /no registry of this server matches \*\.example\.com/],
    ['Nginx:latest', /lower case/],
    [`nginx@${DIGEST}`, /only tags/],
    [DIGEST, /only tags/],
    ['a b', /names no image/],
    ['https://ghcr.io/owner/app', /names no image/],
    ['nginx:', /names no image/],
  ];
  for (const [text, fault] of lost) {
    test(`finds nothing for ${text}`, () => {
      assert.ok(catalogue !== undefined);
      assert.match(parseTagPattern(catalogue, text).fault ?? '', fault);
    });
  }
});

describe('parseRepositoryPattern()', () => {
  const lost: readonly (readonly [text: string, fault: RegExp])[] = [
    [
      'nginx',
      /nginx is no registry of this server, and a rule names its registry; did you mean docker\.io\/library\/nginx\?$/,
    ],
    ['dokcer.io/library/nginx', /; did you mean docker\.io\?$/],
    ['elsewhere/team/app', /elsewhere is no registry of this server, and a rule names its registry$/],
    ['Nginx', /and a rule names its registry$/],
    ['', /and a rule names its registry$/],
  ];
  for (const [text, fault] of lost) {
    test(`finds nothing for ${JSON.stringify(text)}`, () => {
      assert.ok(catalogue !== undefined);
      assert.match(parseRepositoryPattern(catalogue, text).fault ?? '', fault);
    });
  }
});
