import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { numbered, tagRecord } from '../../../test/suites/metadata-store.ts';
import type { TagMove } from '../../store/index.ts';
import { coolingOf } from './cooldown.ts';

/** Moves, newest first: numbers of digests with the times at which they were seen. */
function movesOf(...list: readonly (readonly [digest: number, seenAt: number])[]): TagMove[] {
  return list.map(([number, seenAt]) => {
    const { checkedAt: _, ...pointed } = tagRecord(number);
    return { ...pointed, seenAt };
  });
}

describe('coolingOf() at 100 with a cooldown of 10', () => {
  type Row = readonly [why: string, moves: TagMove[], cooling: { aged: number | undefined; until: number } | undefined];
  const rows: readonly Row[] = [
    ['the only digest is young', movesOf([1, 95]), { aged: undefined, until: 105 }],
    ['the only digest is old', movesOf([1, 50]), undefined],
    ['it is just old enough', movesOf([1, 90]), undefined],
    ['one millisecond is missing', movesOf([1, 91], [2, 80]), { aged: 2, until: 101 }],
    ['the newest that is old', movesOf([1, 99], [2, 95], [3, 80], [4, 70]), { aged: 3, until: 109 }],
    ['it was seen before', movesOf([1, 99], [2, 95], [1, 50]), undefined],
    ['one between came back', movesOf([1, 99], [2, 95], [3, 80], [2, 50]), { aged: 2, until: 109 }],
    ['the clock was set back', movesOf([1, 50], [2, 98], [1, 97]), undefined],
    ['the move was not recorded', movesOf([2, 50]), { aged: 2, until: 110 }],
    ['nothing was recorded', [], { aged: undefined, until: 110 }],
  ];
  for (const [why, moves, expected] of rows) {
    test(why, () => {
      const found = coolingOf(moves, { current: numbered(1), cooldown: 10, now: 100 });
      assert.equal(found?.until, expected?.until);
      assert.equal(found?.aged?.digest, expected?.aged === undefined ? undefined : numbered(expected.aged));
    });
  }

  test('no cooldown is none', () => {
    assert.equal(coolingOf(movesOf([1, 99]), { current: numbered(1), cooldown: 0, now: 100 }), undefined);
  });
});
