import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isInert, SANDBOX, sandboxed } from './sandbox.ts';

test('manifests, lists and blobs are shown as no page by any browser', () => {
  for (const type of [
    'application/vnd.oci.image.index.v1+json',
    'application/vnd.docker.distribution.manifest.v2+json',
    'application/vnd.docker.distribution.manifest.v1+prettyjws',
    'application/json',
    'application/octet-stream',
  ]) {
    assert.equal(isInert(type), true, type);
  }
});

test('what may be a page is told from them', () => {
  for (const type of [
    '',
    'text/html',
    'text/plain',
    'image/svg+xml',
    'application/xhtml+xml',
    'text/json',
    'application/json; x',
    'application/pdf',
    'x/application/json',
  ]) {
    assert.equal(isInert(type), false, type);
  }
});

test('a site keeps its own policy', () => {
  assert.equal(sandboxed(undefined), SANDBOX);
  assert.equal(sandboxed("default-src 'self'"), `default-src 'self', ${SANDBOX}`);
  assert.doesNotMatch(SANDBOX, /same-origin|top-navigation/);
});
