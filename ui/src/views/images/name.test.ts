import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { isImage, nameOfEntry, splitImage } from './name.ts';

const DIGEST = `sha256:${'a'.repeat(64)}`;

describe('splitImage()', () => {
  const rows: readonly (readonly [text: string, name: string, reference: string, isDigest: boolean])[] = [
    ['docker.io/library/nginx', 'docker.io/library/nginx', '', false],
    ['docker.io/library/nginx:1.27', 'docker.io/library/nginx', '1.27', false],
    [`ghcr.io/owner/app@${DIGEST}`, 'ghcr.io/owner/app', DIGEST, true],
    [`ghcr.io/owner/app:1@${DIGEST}`, 'ghcr.io/owner/app', DIGEST, true],
    ['localhost:5000/app', 'localhost:5000/app', '', false],
    ['localhost:5000/app:1', 'localhost:5000/app', '1', false],
  ];
  for (const [text, name, reference, isDigest] of rows) {
    test(text, () => {
      const found = splitImage(text);
      assert.deepEqual([found.name, found.reference, found.isDigest], [name, reference, isDigest]);
      assert.equal(`${found.registry}/${found.repository}`, name);
      assert.equal(isImage(text), reference !== '');
    });
  }
});

test('an entry is named by its tag, or by its digest where it has none', () => {
  assert.equal(nameOfEntry('a/b', { tag: '1', digest: DIGEST }), 'a/b:1');
  assert.equal(nameOfEntry('a/b', { tag: '', digest: DIGEST }), `a/b@${DIGEST}`);
});
