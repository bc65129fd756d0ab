import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { describe, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
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

test('a client that still sends sees why it is refused, whatever refuses it', async (t) => {
  const rest = Buffer.alloc(300_000, 'x');
  const stage = await hostingStage(t, {
    authorize: ({ repository }) =>
      repository?.repository === 'private' ? { allowed: false, reason: 'no' } : { allowed: true },
  });
  for (const [path, status] of [
    ['/v2/private/manifests/v1', 403],
    ['/v2/team/app/tags/list', 405],
    ['/v2/team/app/manifests/v1?tag=-', 400],
    ['/v2/team/app/blobs/uploads/none?digest=none', 400],
  ] as const) {
    const socket = connect({ host: '127.0.0.1', port: Number(stage.host.split(':')[1]) });
    let text = '';
    socket.setEncoding('utf8').on('data', (piece) => {
      text += String(piece);
    });
    socket.write(`PUT ${path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: ${2 * rest.length}\r\n\r\n`);
    await new Promise((resolve) => socket.write(rest, resolve));
    for (let turn = 0; turn < 20; turn += 1) await nextTurn();
    assert.equal(text, '', 'the answer comes once it can be read');
    socket.write(rest);
    await once(socket, 'end');
    assert.match(text, new RegExp(`^HTTP/1.1 ${status} `));
    socket.destroy();
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
