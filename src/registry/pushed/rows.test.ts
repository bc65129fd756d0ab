import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { hostingStage } from '../../../test/support/hosting-stage.ts';
import { smallImage } from '../../../test/support/small-image.ts';
import type { Action } from '../../access/index.ts';
import { OciError } from '../../oci/index.ts';
import type { PushedRows, Row } from '../row.ts';

const DIGEST = `sha256:${'a'.repeat(64)}`;

describe('the gate is asked for each method of each path', () => {
  const rows: readonly (readonly [method: string, path: string, action: Action])[] = [
    ['GET', 'manifests/v1', 'pull'],
    ['HEAD', `manifests/${DIGEST}`, 'pull'],
    ['PUT', 'manifests/v1', 'push'],
    ['DELETE', 'manifests/v1', 'delete'],
    ['DELETE', `manifests/${DIGEST}`, 'delete'],
    ['GET', `blobs/${DIGEST}`, 'pull'],
    ['HEAD', `blobs/${DIGEST}`, 'pull'],
    ['DELETE', `blobs/${DIGEST}`, 'delete'],
    ['GET', 'tags/list', 'pull'],
    ['GET', `referrers/${DIGEST}`, 'pull'],
  ];
  for (const [method, path, action] of rows) {
    test(`${method} ${path}: ${action}, and nothing is shown to all`, async (t) => {
      const stage = await hostingStage(t, {
        authorize: () => ({ allowed: true, onlyPublic: true, reason: 'only what is public' }),
      });
      await stage.pushImage(smallImage('private', []), 'v1').catch(() => {});
      stage.asked.length = 0;
      const answer = await stage.ask(`/v2/team/app/${path}`, { method });
      assert.equal(answer.status, 403, 'what is hosted is private');
      const repository = { registry: 'apps', repository: 'team/app' };
      assert.deepEqual(stage.asked, [{ principal: { kind: 'anonymous' }, action, repository }]);
    });
  }
});

describe('a method that a path does not have', () => {
  for (const [method, path, allow] of [
    ['POST', 'manifests/v1', 'GET, HEAD, PUT, DELETE'],
    ['PATCH', `manifests/${DIGEST}`, 'GET, HEAD, PUT, DELETE'],
    ['PUT', `blobs/${DIGEST}`, 'GET, HEAD, DELETE'],
    ['POST', 'tags/list', 'GET, HEAD'],
    ['DELETE', `referrers/${DIGEST}`, 'GET, HEAD'],
    ['OPTIONS', 'tags/list', 'GET, HEAD'],
  ] as const) {
    test(`${method} ${path}`, async (t) => {
      const stage = await hostingStage(t);
      const answer = await stage.ask(`/v2/team/app/${path}`, { method });
      assert.deepEqual([answer.status, answer.code, answer.headers.get('allow')], [405, 'UNSUPPORTED', allow]);
      assert.deepEqual(stage.asked, []);
    });
  }
});

test('what is mirrored and what is pushed through is answered by others', async (t) => {
  const seen: string[] = [];
  const row: Row = { action: 'push', wanted: 'manifest', answer: () => assert.fail('not allowed') };
  const through: PushedRows = {
    rowOf: ({ repository }) => {
      seen.push(repository.repository);
      return row;
    },
  };
  const stage = await hostingStage(t, {
    hosting: { hosted: ['ours/**'], push: ['passed/**'] },
    upstreams: () => Promise.reject(new OciError('UNAVAILABLE', 'the upstream is asked')),
    through,
    authorize: ({ action }) => (action === 'push' ? { allowed: false, reason: 'no' } : { allowed: true }),
  });
  const put = (name: string) => stage.ask(`/v2/${name}/manifests/v1`, { method: 'PUT', body: '{}' });
  assert.equal((await put('passed/app')).status, 403);
  assert.deepEqual(seen, ['passed/app']);
  const mirrored = await put('else/app');
  assert.deepEqual([mirrored.status, mirrored.code, mirrored.headers.get('allow')], [405, 'UNSUPPORTED', 'GET, HEAD']);
  assert.equal((await stage.ask('/v2/else/app/tags/list')).status, 503, 'the upstream has the rest');
  assert.equal((await stage.ask('/v2/ours/app/tags/list')).status, 404, 'and is never asked for what is ours');
});
