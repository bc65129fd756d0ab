import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { OciError } from './error.ts';
import { MAX_PATH_LENGTH, parseRegistryPath, type RegistryPath, splitRegistryPath } from './path.ts';
import { isRepositoryName } from './reference.ts';

const HEX = 'a'.repeat(64);
const DIGEST = `sha256:${HEX}`;
const SHA512 = `sha512:${HEX}${HEX}`;

describe('parseRegistryPath()', () => {
  const tag = (repository: string, name: string) => ({
    kind: 'manifest',
    repository,
    reference: { kind: 'tag', tag: name },
  });
  const rows: readonly [path: string, parsed: object][] = [
    ['/v2', { kind: 'base' }],
    ['/v2/', { kind: 'base' }],
    ['/v2/_catalog', { kind: 'catalog' }],
    ['/v2/nginx/tags/list', { kind: 'tags', repository: 'nginx' }],
    ['/v2/library/nginx/tags/list', { kind: 'tags', repository: 'library/nginx' }],
    ['/v2/nginx/manifests/latest', tag('nginx', 'latest')],
    ['/v2/a/b/c/d/manifests/V1.0_x-y', tag('a/b/c/d', 'V1.0_x-y')],
    [
      `/v2/nginx/manifests/${DIGEST}`,
      { kind: 'manifest', repository: 'nginx', reference: { kind: 'digest', digest: DIGEST } },
    ],
    [`/v2/nginx/blobs/${DIGEST}`, { kind: 'blob', repository: 'nginx', digest: DIGEST }],
    [`/v2/nginx/blobs/${SHA512}`, { kind: 'blob', repository: 'nginx', digest: SHA512 }],
    [`/v2/nginx/referrers/${DIGEST}`, { kind: 'referrers', repository: 'nginx', digest: DIGEST }],
    ['/v2/nginx/blobs/uploads', { kind: 'uploads', repository: 'nginx', session: '' }],
    ['/v2/nginx/blobs/uploads/', { kind: 'uploads', repository: 'nginx', session: '' }],
    ['/v2/nginx/blobs/uploads/7f1a-42', { kind: 'uploads', repository: 'nginx', session: '7f1a-42' }],
    ['/v2/nginx/blobs/uploads/list', { kind: 'uploads', repository: 'nginx', session: 'list' }],
    // Names that hold the words of the API.
    ['/v2/foo/manifests/bar/manifests/latest', tag('foo/manifests/bar', 'latest')],
    ['/v2/nginx/manifests/_catalog', tag('nginx', '_catalog')],
    ['/v2/a/manifests/manifests/_catalog', tag('a/manifests', '_catalog')],
    ['/v2/manifests/manifests/manifests', tag('manifests', 'manifests')],
    ['/v2/blobs/manifests/latest', tag('blobs', 'latest')],
    ['/v2/a/blobs/uploads/manifests/latest', tag('a/blobs/uploads', 'latest')],
    [`/v2/a/uploads/blobs/${DIGEST}`, { kind: 'blob', repository: 'a/uploads', digest: DIGEST }],
    ['/v2/tags/list/tags/list', { kind: 'tags', repository: 'tags/list' }],
    ['/v2/a/manifests/tags/list', { kind: 'tags', repository: 'a/manifests' }],
    ['/v2/a/tags/manifests/list', tag('a/tags', 'list')],
    ['/v2/v2/manifests/v2', tag('v2', 'v2')],
    ['/v2/a/tags/list/manifests/x', tag('a/tags/list', 'x')],
  ];
  for (const [path, parsed] of rows) {
    test(`reads ${path.slice(0, 60)}`, () => assert.deepEqual(parseRegistryPath(path), parsed));
  }

  const refused: readonly [path: string, code: string, status: number][] = [
    ['', 'UNSUPPORTED', 404],
    ['/', 'UNSUPPORTED', 404],
    ['/v1/', 'UNSUPPORTED', 404],
    ['/v22/', 'UNSUPPORTED', 404],
    ['v2/nginx/manifests/latest', 'UNSUPPORTED', 404],
    ['/v2/nginx', 'UNSUPPORTED', 404],
    ['/v2/nginx/', 'UNSUPPORTED', 404],
    ['/v2/nginx/manifests', 'UNSUPPORTED', 404],
    ['/v2/nginx/manifests/', 'UNSUPPORTED', 404],
    ['/v2/nginx/manifests/latest/', 'UNSUPPORTED', 404],
    ['/v2/nginx/tags', 'UNSUPPORTED', 404],
    ['/v2/a/nginx/uploads/x', 'UNSUPPORTED', 404],
    ['/v2/nginx/tags/all', 'UNSUPPORTED', 404],
    ['/v2/nginx/_catalog', 'UNSUPPORTED', 404],
    ['/v2/_catalog/', 'UNSUPPORTED', 404],
    [`/v2/nginx/referrers/${DIGEST}/more`, 'UNSUPPORTED', 404],
    ['/v2/manifests/latest', 'NAME_INVALID', 400],
    ['/v2/tags/list', 'NAME_INVALID', 400],
    [`/v2/blobs/${DIGEST}`, 'NAME_INVALID', 400],
    ['/v2//manifests/latest', 'NAME_INVALID', 400],
    ['/v2//nginx/manifests/latest', 'NAME_INVALID', 400],
    ['/v2/a//b/manifests/latest', 'NAME_INVALID', 400],
    ['/v2/a//manifests/latest', 'NAME_INVALID', 400],
    ['/v2/Nginx/manifests/latest', 'NAME_INVALID', 400],
    ['/v2/../etc/manifests/latest', 'NAME_INVALID', 400],
    ['/v2/a/../../b/manifests/latest', 'NAME_INVALID', 400],
    ['/v2/a/./b/manifests/latest', 'NAME_INVALID', 400],
    ['/v2/a%2fb/manifests/latest', 'NAME_INVALID', 400],
    [`/v2/nginx/blobs/sha256%3A${HEX}`, 'NAME_INVALID', 400],
    ['/v2/a\\b/manifests/latest', 'NAME_INVALID', 400],
    ['/v2/a\u0000b/manifests/latest', 'NAME_INVALID', 400],
    ['/v2/a\r\nb/manifests/latest', 'NAME_INVALID', 400],
    ['/v2/é/manifests/latest', 'NAME_INVALID', 400],
    ['/v2/a b/manifests/latest', 'NAME_INVALID', 400],
    ['/v2/nginx/manifests/la%74est', 'NAME_INVALID', 400],
    ['/v2/localhost:5000/a/manifests/latest', 'NAME_INVALID', 400],
    [`/v2/${'a'.repeat(256)}/manifests/latest`, 'NAME_INVALID', 400],
    [`/v2/${'a/'.repeat(MAX_PATH_LENGTH)}manifests/latest`, 'NAME_INVALID', 400],
    // A reference that can be neither a tag nor a digest names no manifest.
    ['/v2/nginx/manifests/.hidden', 'MANIFEST_UNKNOWN', 404],
    ['/v2/nginx/manifests/.INVALID_MANIFEST_NAME', 'MANIFEST_UNKNOWN', 404],
    ['/v2/nginx/manifests/-v1', 'MANIFEST_UNKNOWN', 404],
    ['/v2/nginx/manifests/1.0+build', 'MANIFEST_UNKNOWN', 404],
    ['/v2/nginx/manifests/a@b', 'MANIFEST_UNKNOWN', 404],
    ['/v2/nginx/manifests/a b', 'MANIFEST_UNKNOWN', 404],
    ['/v2/nginx/manifests/é', 'MANIFEST_UNKNOWN', 404],
    ['/v2/nginx/manifests/latest?x', 'MANIFEST_UNKNOWN', 404],
    ['/v2/nginx/manifests/...', 'MANIFEST_UNKNOWN', 404],
    [`/v2/nginx/manifests/${'a'.repeat(129)}`, 'MANIFEST_UNKNOWN', 404],
    ['/v2/nginx/manifests/.', 'NAME_INVALID', 400],
    ['/v2/nginx/manifests/..', 'NAME_INVALID', 400],
    ['/v2/nginx/manifests/a\\b', 'NAME_INVALID', 400],
    ['/v2/nginx/manifests/a\u0000', 'NAME_INVALID', 400],
    ['/v2/nginx/manifests/sha256:abc', 'DIGEST_INVALID', 400],
    ['/v2/nginx/manifests/latest:v1', 'DIGEST_INVALID', 400],
    ['/v2/nginx/blobs/latest', 'DIGEST_INVALID', 400],
    [`/v2/nginx/blobs/sha256:${HEX.toUpperCase()}`, 'DIGEST_INVALID', 400],
    [`/v2/nginx/blobs/sha384:${HEX}`, 'DIGEST_INVALID', 400],
    ['/v2/nginx/blobs/..', 'NAME_INVALID', 400],
    ['/v2/nginx/blobs/_catalog', 'DIGEST_INVALID', 400],
    ['/v2/nginx/blobs/sha256:', 'DIGEST_INVALID', 400],
    [`/v2/nginx/referrers/sha512:${HEX}`, 'DIGEST_INVALID', 400],
    ['/v2/nginx/referrers/latest', 'DIGEST_INVALID', 400],
  ];
  for (const [path, code, status] of refused) {
    test(`refuses ${JSON.stringify(path.slice(0, 60))} with ${code} ${status}`, () => {
      assert.throws(() => parseRegistryPath(path), { name: 'OciError', code, status });
    });
  }

  test('shows no more of what it refused than a reader needs', () => {
    assert.throws(
      () => parseRegistryPath(`/v2/${'A'.repeat(1000)}/manifests/latest`),
      (error: unknown) => error instanceof OciError && error.message.length < 300,
    );
  });

  test('answers long hostile paths in time that does not grow with their shape', () => {
    const started = performance.now();
    for (const piece of ['a-', 'a__', 'a/', '-', '_', '.', 'a.a', '/manifests', '/blobs/uploads']) {
      for (const end of ['/manifests/latest', '/manifests/!', '']) {
        assert.throws(() => parseRegistryPath(`/v2/${piece.repeat(8192 / piece.length)}${end}`), OciError);
        const fitting = `/v2/${piece.repeat(1900 / piece.length)}${end}`;
        assert.throws(() => parseRegistryPath(fitting), OciError);
      }
    }
    assert.ok(performance.now() - started < 1000);
  });

  const segment = fc.oneof(
    fc.constantFrom('manifests', 'blobs', 'uploads', 'tags', 'list', 'referrers', '_catalog', '', '..', 'a', 'a-b'),
    fc.constantFrom('latest', DIGEST, SHA512, 'v2', 'A', 'sha256:x', 'ghcr.io', 'localhost:5000'),
    fc.string({ maxLength: 12 }),
  );
  const anyPath = fc.array(segment, { maxLength: 9 }).map((segments) => `/v2/${segments.join('/')}`);

  test('gives a value whose name is a name, or an OciError, for any path', () => {
    fc.assert(
      fc.property(anyPath, (path) => {
        const parsed = parseOrUndefined(path);
        if (parsed !== undefined && 'repository' in parsed) assert.ok(isRepositoryName(parsed.repository));
      }),
      { numRuns: 3000 },
    );
  });

  test('reads back every path that is made of a name and a tag', () => {
    const component = fc.constantFrom('a', 'manifests', 'blobs', 'uploads', 'tags', 'list', 'referrers', 'x-1', 'v2');
    const name = fc.array(component, { minLength: 1, maxLength: 8 }).map((parts) => parts.join('/'));
    fc.assert(
      fc.property(name, fc.constantFrom('latest', 'list', 'uploads', 'manifests'), (repository, tagName) => {
        assert.deepEqual(parseRegistryPath(`/v2/${repository}/manifests/${tagName}`), tag(repository, tagName));
        assert.deepEqual(parseRegistryPath(`/v2/${repository}/tags/list`), { kind: 'tags', repository });
        assert.deepEqual(parseRegistryPath(`/v2/${repository}/blobs/${DIGEST}`), {
          kind: 'blob',
          repository,
          digest: DIGEST,
        });
      }),
    );
  });
});

describe('splitRegistryPath()', () => {
  const rows: readonly [path: string, split: object | undefined][] = [
    ['/v2/', { name: '', operation: '' }],
    ['/v2/ghcr.io/a/b/manifests/x', { name: 'ghcr.io/a/b', operation: 'manifests/x' }],
    ['/v2/localhost:5001/app/tags/list', { name: 'localhost:5001/app', operation: 'tags/list' }],
    ['/v2/ghcr.io/_catalog', { name: 'ghcr.io', operation: '_catalog' }],
    ['/v2/manifests/_catalog', { name: 'manifests', operation: '_catalog' }],
    ['/v2/ghcr.io/a/manifests/_catalog', { name: 'ghcr.io/a', operation: 'manifests/_catalog' }],
    ['/v2/a/blobs/uploads/', { name: 'a', operation: 'blobs/uploads/' }],
    ['/v2/ghcr.io', undefined],
    ['/healthz', undefined],
  ];
  for (const [path, split] of rows) {
    test(`cuts ${path}`, () => assert.deepEqual(splitRegistryPath(path), split));
  }
});

function parseOrUndefined(path: string): RegistryPath | undefined {
  try {
    return parseRegistryPath(path);
  } catch (error) {
    assert.ok(error instanceof OciError, String(error));
    return undefined;
  }
}
