import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { FailureKind } from '../../oci/index.ts';
import { Telemetry } from '../../telemetry/index.ts';
import { UpstreamError } from '../error.ts';
import { failOver, finalFailure } from './failover.ts';

function failure(
  kind: FailureKind,
  upstream: string,
  options: { retryAfter?: number; status?: number } = {},
): UpstreamError {
  return new UpstreamError(`${upstream}: ${kind}`, { kind, upstream, ...options });
}

describe('finalFailure', () => {
  const rows: readonly (readonly [readonly FailureKind[], FailureKind])[] = [
    [['not-found', 'not-found'], 'not-found'],
    [['not-found', 'unavailable'], 'unavailable'],
    [['unavailable', 'not-found'], 'unavailable'],
    [['denied', 'throttled'], 'throttled'],
    [['denied', 'not-found'], 'not-found'],
    [['not-found', 'denied'], 'not-found'],
    [['denied', 'denied'], 'denied'],
    [['not-found', 'invalid'], 'invalid'],
    [['invalid', 'unavailable'], 'unavailable'],
    [[], 'not-found'],
  ];
  for (const [kinds, expected] of rows) {
    test(`${kinds.join(', ') || 'none to ask'}: ${expected}`, () => {
      const failures = kinds.map((kind, index) => failure(kind, `u${index}`));
      assert.equal(finalFailure(failures, 'reg').kind, expected);
    });
  }

  test('of several that pass, the one that passes first', () => {
    const failures = [failure('throttled', 'a', { retryAfter: 60 }), failure('throttled', 'b', { retryAfter: 5 })];
    assert.equal(finalFailure(failures, 'reg').upstream, 'b');
  });
});

describe('failOver', () => {
  const upstreams = [{ name: 'hot' }, { name: 'warm' }, { name: 'cold' }];

  test('asks in order, says each step, and stops at the first answer', async () => {
    const telemetry = new Telemetry();
    const steps: string[] = [];
    telemetry.on('upstream.failover', ({ registry, from, to, reason }) =>
      steps.push(`${registry}: ${from} → ${to} (${reason})`),
    );
    const asked: string[] = [];
    const answer = await failOver(
      upstreams,
      ({ name }) => {
        asked.push(name);
        return name === 'warm' ? Promise.resolve('found') : Promise.reject(failure('not-found', name));
      },
      { registry: 'apps', telemetry },
    );
    assert.equal(answer, 'found');
    assert.deepEqual(asked, ['hot', 'warm']);
    assert.deepEqual(steps, ['apps: hot → warm (hot: not-found)']);
  });

  test('an answer that is undefined is an answer', async () => {
    const answer = await failOver(upstreams, () => Promise.resolve(undefined), {
      registry: 'apps',
      telemetry: new Telemetry(),
    });
    assert.equal(answer, undefined);
  });

  test('asks the last one twice where that may help', async () => {
    const asked: string[] = [];
    const ask = ({ name }: { name: string }): Promise<string> => {
      asked.push(name);
      return asked.length === 4
        ? Promise.resolve('found')
        : Promise.reject(failure('unavailable', name, { status: 502 }));
    };
    assert.equal(await failOver(upstreams, ask, { registry: 'apps', telemetry: new Telemetry() }), 'found');
    assert.deepEqual(asked, ['hot', 'warm', 'cold', 'cold']);
  });

  test('a mistake of ours is thrown on, and no other is asked', async () => {
    const mistake = new TypeError('x is not a function');
    let asked = 0;
    const ask = (): Promise<never> => {
      asked += 1;
      return Promise.reject(mistake);
    };
    await assert.rejects(failOver(upstreams, ask, { registry: 'apps', telemetry: new Telemetry() }), mistake);
    assert.equal(asked, 1);
  });

  test('an abort ends the search with the reason it was given', async () => {
    const controller = new AbortController();
    const reason = new Error('the client left');
    const ask = ({ name }: { name: string }): Promise<never> => {
      controller.abort(reason);
      return Promise.reject(failure('unavailable', name));
    };
    const context = { registry: 'apps', telemetry: new Telemetry(), signal: controller.signal };
    await assert.rejects(failOver(upstreams, ask, context), reason);
  });

  test('an abort while it waits to ask again ends the wait', async () => {
    const controller = new AbortController();
    const reason = new Error('the client left');
    let asked = 0;
    const ask = (): Promise<never> => {
      asked += 1;
      setImmediate(() => controller.abort(reason));
      return Promise.reject(failure('unavailable', 'hot', { status: 500 }));
    };
    const context = { registry: 'apps', telemetry: new Telemetry(), signal: controller.signal };
    await assert.rejects(failOver([{ name: 'hot' }], ask, context), reason);
    assert.equal(asked, 1);
  });
});
