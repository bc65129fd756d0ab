import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { formatProblem, loadConfig } from '../../config/index.ts';
import { notesOf } from './patterns.ts';
import { composeRegistries } from './registries.ts';
import { cacheOptionsOf } from './server.ts';

const text = `
cache:
  pin: [nginx:latest, dokcer.io/library/nginx]
  tags: {rules: [{match: alpine, fresh_for: 1h}, {match: Alpine, fresh_for: 1h}]}`;
const loaded = await loadConfig({ cwd: '/', env: { HOME: '/nowhere', ENTREPOT_CONFIG: text } });
const catalogue = composeRegistries(loaded.config);

describe('patterns of the configuration', () => {
  test('are qualified as those of purge are', () => {
    const { pin, tags } = cacheOptionsOf(loaded.config, catalogue);
    assert.deepEqual(pin, ['docker.io/library/nginx:latest', 'dokcer.io/library/nginx:*']);
    assert.ok(tags !== 'never');
    assert.equal(tags?.rules?.[0]?.match, 'docker.io/library/alpine:*');
  });

  test('are noted with their place where they match nothing', () => {
    assert.deepEqual(notesOf(loaded, catalogue).map(formatProblem), [
      'ENTREPOT_CONFIG:3:23  cache.pin[1]: "dokcer.io/library/nginx" matches nothing: this server has no registry dokcer.io; did you mean docker.io?',
      'ENTREPOT_CONFIG:4:51  cache.tags.rules[1].match: "Alpine" matches nothing: "Alpine" names no image: names of repositories are in lower case',
    ]);
    assert.deepEqual(notesOf(loaded, undefined), []);
  });
});
