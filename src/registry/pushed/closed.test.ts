import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { type HostingStageOptions, hostingStage } from '../../../test/support/hosting-stage.ts';
import { smallLayer } from '../../../test/support/small-image.ts';
import type { PushedRows } from '../row.ts';
import { createClosedRows } from './closed.ts';

const BLOB = smallLayer('closed');
const HOUR = 3_600_000;

/** A stage whose hosted content opens when the test lets it. */
async function closed(t: TestContext, retryEvery: number) {
  const state = { attempts: 0, mayOpen: false, wait: Promise.resolve() };
  const open = async (rows: PushedRows): Promise<PushedRows> => {
    state.attempts += 1;
    await state.wait;
    if (!state.mayOpen) throw new Error('damaged');
    return rows;
  };
  const before: HostingStageOptions['before'] = (rows, rules) =>
    createClosedRows({ rules: () => rules, open: () => open(rows), retryEvery });
  return { stage: await hostingStage(t, { before }), state };
}

describe('while hosted content cannot be opened', () => {
  for (const [method, path, action] of [
    ['GET', 'manifests/v1', 'pull'],
    ['PUT', 'manifests/v1', 'push'],
    ['DELETE', 'manifests/v1', 'delete'],
    ['HEAD', `blobs/${BLOB.digest}`, 'pull'],
    ['DELETE', `blobs/${BLOB.digest}`, 'delete'],
    ['POST', 'blobs/uploads/', 'push'],
    ['GET', 'blobs/uploads/x', 'push'],
    ['DELETE', 'blobs/uploads/x', 'push'],
    ['GET', 'tags/list', 'pull'],
  ] as const) {
    test(`${method} ${path} asks the gate for ${action}, and is answered 503`, async (t) => {
      const { stage, state } = await closed(t, HOUR);
      const { status, headers } = await stage.ask(`/v2/team/app/${path}`, { method });
      assert.deepEqual([status, headers.get('retry-after')], [503, '3600']);
      assert.deepEqual(
        stage.asked.map((each) => each.action),
        [action],
      );
      assert.equal(state.attempts, 0, 'it was tried a moment ago');
    });
  }

  test('the version check is answered, and the catalogue of a registry that hosts is not', async (t) => {
    const { stage } = await closed(t, HOUR);
    assert.equal((await stage.ask('/v2/')).status, 200);
    const { status, code } = await stage.ask('/v2/_catalog?ns=apps');
    assert.deepEqual([status, code], [503, 'UNAVAILABLE']);
  });

  test('many requests at once make one attempt, and the next ones another', async (t) => {
    const { stage, state } = await closed(t, 0);
    const gate = Promise.withResolvers<void>();
    state.wait = gate.promise;
    const asking = Array.from({ length: 5 }, () => stage.ask('/v2/team/app/tags/list'));
    while (stage.asked.length < 5) await new Promise(setImmediate);
    gate.resolve();
    assert.deepEqual(new Set((await Promise.all(asking)).map(({ status }) => status)), new Set([503]));
    assert.equal(state.attempts, 1);
    await stage.ask('/v2/team/app/tags/list');
    assert.equal(state.attempts, 2);
  });

  test('the request that opens it is answered by it, and so is every later one', async (t) => {
    const { stage, state } = await closed(t, 0);
    const path = `/v2/team/app/blobs/uploads/?digest=${BLOB.digest}`;
    assert.equal((await stage.ask(path, { method: 'POST', body: BLOB.bytes })).status, 503);
    state.mayOpen = true;
    assert.equal((await stage.ask(path, { method: 'POST', body: BLOB.bytes })).status, 201);
    assert.deepEqual((await stage.ask(`/v2/team/app/blobs/${BLOB.digest}`)).bytes, BLOB.bytes);
    assert.equal(state.attempts, 2);
  });
});
