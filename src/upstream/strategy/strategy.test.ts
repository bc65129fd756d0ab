import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { digestOf, type StrategySpec } from '../../oci/index.ts';
import type { RoutingOrder, RoutingQuestion } from '../plugin/index.ts';
import { Pace } from './pace.ts';
import { type Candidate, type Question, Strategy } from './strategy.ts';

const blob: Question = {
  content: 'blob',
  method: 'GET',
  repository: 'library/nginx',
  reference: { kind: 'digest', digest: digestOf(Buffer.from('a blob')) },
  size: 1000,
};
const tag: Question = {
  content: 'manifest',
  method: 'HEAD',
  repository: 'library/nginx',
  reference: { kind: 'tag', tag: 'latest' },
};
const list: Question = { content: 'list', method: 'GET', repository: 'library/nginx' };

const now = (): number => 1_000_000;

function candidate(name: string, { latencyMs, state = 'up' }: { latencyMs?: number; state?: 'up' | 'resting' } = {}) {
  const pace = new Pace(now);
  if (latencyMs !== undefined) {
    pace.answered('manifest', latencyMs);
    pace.answered('blob', latencyMs);
  }
  return { name, url: new URL(`https://${name}.example`), pace, stateFor: () => state } satisfies Candidate;
}

function strategyBy(spec: Partial<StrategySpec>, order?: (question: RoutingQuestion) => RoutingOrder) {
  return new Strategy(
    { by: 'fastest', tags: false, weights: new Map(), ...spec },
    {
      registry: 'docker.io',
      now,
      random: () => 0.99,
      plugin: order && { order: (question) => Promise.resolve(order(question)) },
    },
  );
}

async function orderBy(strategy: Strategy, candidates: readonly Candidate[], question = blob): Promise<string> {
  return (await strategy.order(candidates, question)).map(({ name }) => name).join(' ');
}

describe('Strategy', () => {
  const [slow, fast] = [candidate('slow', { latencyMs: 100 }), candidate('fast', { latencyMs: 5 })];

  for (const by of ['fastest', 'weighted', 'plugin'] as const) {
    test(`${by} leaves tags and lists in the order of the configuration, unless it is for tags too`, async () => {
      const weights = new Map([['slow', 0]]);
      const [kept, free] = [false, true].map((tags) => strategyBy({ by, tags, weights }, () => ['fast']));
      for (const question of [tag, list]) {
        assert.equal(await orderBy(kept as Strategy, [slow, fast], question), 'slow fast');
        assert.equal(await orderBy(free as Strategy, [slow, fast], question), 'fast slow');
      }
      assert.equal(await orderBy(kept as Strategy, [slow, fast]), 'fast slow');
    });

    test(`${by} orders one upstream at once, and asks no plugin`, () => {
      const strategy = strategyBy({ by }, () => assert.fail('it was asked'));
      const only = [slow];
      assert.equal(strategy.order(only, blob), only);
    });
  }

  test('weighted asks one upstream for all tags of a repository', async () => {
    const strategy = strategyBy({ by: 'weighted', tags: true });
    const candidates = ['a', 'b', 'c'].map((name) => candidate(name));
    const orders = new Set<string>();
    for (const name of ['latest', '1.27', 'edge']) {
      orders.add(await orderBy(strategy, candidates, { ...tag, reference: { kind: 'tag', tag: name } }));
    }
    orders.add(await orderBy(strategy, candidates, list));
    assert.equal(orders.size, 1);
  });

  test('weighted asks what is resting last, and what has no weight after what has', async () => {
    const strategy = strategyBy({ by: 'weighted', weights: new Map([['never', 0]]) });
    const candidates = [candidate('never'), candidate('resting', { state: 'resting' }), candidate('up')];
    assert.equal(await orderBy(strategy, candidates), 'up never resting');
  });

  test('fastest tries a slow upstream by a small request, and never by a large or unknown blob', async () => {
    const unmeasured = candidate('unmeasured');
    for (const [size, expected] of [
      [9_000_000, 'fast unmeasured'],
      [undefined, 'fast unmeasured'],
      [1000, 'unmeasured fast'],
    ] as const) {
      assert.equal(await orderBy(strategyBy({}), [unmeasured, fast], { ...blob, size }), expected);
    }
  });

  test('a plugin is told what is asked, and what is known of each upstream', async () => {
    const asked: RoutingQuestion[] = [];
    const strategy = strategyBy({ by: 'plugin', weights: new Map([['fast', 7]]), tags: true }, (question) => {
      asked.push(question);
      return undefined;
    });
    const other = candidate('other', { state: 'resting' });
    fast.pace.sent(5000);
    await strategy.order([fast, other], blob);
    await strategy.order([fast, other], tag);
    const upstreams = [
      { name: 'fast', host: 'fast.example', weight: 7, state: 'up', latencyMs: 5, bytesPerSecond: 5000 },
      { name: 'other', host: 'other.example', weight: 1, state: 'resting' },
    ];
    const common = { registry: 'docker.io', repository: 'library/nginx', now: now(), upstreams };
    assert.deepEqual(asked, [
      { ...common, content: 'blob', method: 'GET', digest: digestOf(Buffer.from('a blob')), size: 1000 },
      { ...common, content: 'manifest', method: 'HEAD', tag: 'latest' },
    ]);
  });

  test('what a plugin leaves out comes last, in the order of the configuration', async () => {
    const candidates = ['a', 'b', 'c', 'd'].map((name) => candidate(name));
    assert.equal(
      await orderBy(
        strategyBy({ by: 'plugin' }, () => ['c']),
        candidates,
      ),
      'c a b d',
    );
    assert.equal(
      await orderBy(
        strategyBy({ by: 'plugin' }, () => []),
        candidates,
      ),
      'a b c d',
    );
    assert.equal(
      await orderBy(
        strategyBy({ by: 'plugin' }, () => undefined),
        candidates,
      ),
      'a b c d',
    );
    assert.equal(await orderBy(strategyBy({ by: 'plugin' }), candidates), 'a b c d', 'none is there');
  });
});
