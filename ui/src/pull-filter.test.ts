import assert from 'node:assert/strict';
import { test } from 'node:test';
import { matches } from './pull-filter.ts';

const pull = {
  id: 'a',
  at: 0,
  registry: 'docker.io',
  repository: 'library/nginx',
  reference: 'latest',
  client: '10.0.0.1',
  user: 'alice',
  userAgent: 'containerd/2.1',
  outcome: 'hit',
  requests: 1,
  hits: 1,
  bytes: 0,
  fetched: 0,
  durationMs: 0,
} as const;

test('a pull is in a list by image, client and outcome', () => {
  for (const filter of [
    {},
    { image: 'NGINX' },
    { client: 'alice' },
    { client: '10.0' },
    { client: 'Containerd' },
    { outcome: 'hit' },
  ]) {
    assert.ok(matches(pull, filter), JSON.stringify(filter));
  }
  for (const filter of [
    { image: 'redis' },
    { client: 'bob' },
    { outcome: 'miss' },
    { image: 'nginx', client: 'bob' },
  ]) {
    assert.ok(!matches(pull, filter), JSON.stringify(filter));
  }
});
