import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { composeCatalogue } from './compose-catalogue.ts';
import { parseImagePattern } from './image-pattern.ts';

const { catalogue } = composeCatalogue({
  registries: { apps: { upstreams: [{ url: 'http://127.0.0.1:1' }] } },
  knownRegistries: true,
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
