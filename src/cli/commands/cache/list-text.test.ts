import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatImage, formatTags } from './list-text.ts';

const DIGEST = `sha256:${'0123456789abcdef'.repeat(4)}`;

test('what the configuration and the manifest of an image say stays on its line', () => {
  const platform = 'li\u001b[2Jnux/amd64\nHOME \u202e\u009b';
  const entry = {
    tag: 'latest',
    digest: DIGEST,
    mediaType: 'application/x\u001b]0;title\u0007',
    platforms: [platform],
    complete: true,
    storedBytes: 1,
  } as const;
  const child = { digest: DIGEST, mediaType: 'a\nb', platform, stored: false, complete: false, storedBytes: 0 };
  const texts = [
    ...formatTags([entry]),
    formatImage({
      image: 'docker.io/library/app:latest',
      registry: 'docker.io',
      repository: 'library/app',
      home: 'mirrored',
      entry,
      created: '2026\u001b[31m\n',
      children: [child],
      layers: [{ digest: DIGEST, mediaType: 'layer\u0085', stored: true }],
      referrers: [],
    }),
  ];
  assert.doesNotMatch(texts[0] ?? '', /[\p{Cc}\u202e]/u);
  assert.doesNotMatch(texts[1] ?? '', /(?!\n)[\p{Cc}\u202e]/u);
  assert.doesNotMatch(texts[1] ?? '', /^(?:HOME|b)/m);
  assert.match(texts[1] ?? '', /li\\u001b\[2Jnux/);
});
