import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Figure, type Goal, judge, ratioTo } from './figures.ts';

const ours: Figure = { bench: 'B1', work: 'warm', subject: 'entrepot', unit: 's', samples: [9, 2, 3] };
const nginx: Figure = { ...ours, subject: 'nginx', peer: 'nginx', samples: [2, 2, 2] };
const otherWork: Figure = { ...nginx, work: 'cold', samples: [100] };

describe('ratioTo()', () => {
  test('compares medians of the same work only', () => {
    assert.equal(ratioTo('nginx', ours, [otherWork, ours, nginx]), 1.5);
  });

  test('knows nothing without the peer, and nothing of a peer beside itself', () => {
    assert.equal(ratioTo('nginx', ours, [ours, otherWork]), undefined);
    assert.equal(ratioTo('nginx', nginx, [ours, nginx]), undefined);
  });
});

describe('judge()', () => {
  const cases: readonly { goal: Goal; met: boolean | undefined; text: string }[] = [
    { goal: { bound: 'at most', value: 1.5, of: 'nginx' }, met: true, text: '≤ 1.5 × nginx' },
    { goal: { bound: 'at most', value: 1.4, of: 'nginx' }, met: false, text: '≤ 1.4 × nginx' },
    { goal: { bound: 'at least', value: 1.5, of: 'nginx' }, met: true, text: '≥ 1.5 × nginx' },
    { goal: { bound: 'at least', value: 2, of: 'docker-registry' }, met: undefined, text: '≥ 2 × docker-registry' },
    { goal: { bound: 'at most', value: 3 }, met: true, text: '≤ 3' },
    { goal: { bound: 'exactly', value: 3 }, met: false, text: '= 3' },
  ];
  for (const { goal, met, text } of cases) {
    test(`${text} is ${met === undefined ? 'not known' : met ? 'met' : 'missed'}`, () => {
      assert.deepEqual(judge({ ...ours, goals: [goal] }, [ours, nginx]), [{ text, met, later: false }]);
    });
  }

  test('what must be exact must be so in every run', () => {
    const goals: readonly Goal[] = [{ bound: 'exactly', value: 1 }];
    assert.equal(judge({ ...ours, samples: [1, 1, 2], goals }, [])[0]?.met, false);
    assert.equal(judge({ ...ours, samples: [1, 1, 1], goals }, [])[0]?.met, true);
  });
});
