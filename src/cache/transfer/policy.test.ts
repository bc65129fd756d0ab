import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  LITTLE_MISSING,
  MAX_FAILURES_WITHOUT_PROGRESS,
  planRange,
  resumeDelay,
  SOON_REACHED,
  shouldContinueUnattended,
  shouldResume,
} from './policy.ts';

const GIB = 1024 ** 3;

describe('shouldFinishAlone()', () => {
  const rows: readonly [written: number, size: number | undefined, goesOn: boolean, why: string][] = [
    [0, LITTLE_MISSING, true, 'a small blob'],
    [0, GIB, false, 'a large blob just begun'],
    [GIB * 0.5, GIB, false, 'half of a large one'],
    [GIB * 0.8, GIB, true, 'four fifths of a large one'],
    [10 * GIB - LITTLE_MISSING, 10 * GIB, true, 'little missing'],
    [GIB, undefined, false, 'a size that is not known'],
  ];
  for (const [written, size, goesOn, why] of rows) {
    test(why, () => assert.equal(shouldContinueUnattended({ written, size }), goesOn));
  }
});

describe('planRange()', () => {
  test('follows what has been or soon will be reached, passes what is far', () => {
    assert.equal(planRange(0, { written: 0, size: GIB }), 'follow');
    assert.equal(planRange(SOON_REACHED, { written: 0, size: GIB }), 'follow');
    assert.equal(planRange(SOON_REACHED + 1, { written: 0, size: GIB }), 'pass');
    assert.equal(planRange(GIB / 2, { written: GIB / 2, size: GIB }), 'follow');
  });
});

describe('shouldResume()', () => {
  test('gives up after so many failures in a row without a byte', () => {
    assert.equal(shouldResume({ failuresWithoutProgress: 1, kind: 'unavailable' }), true);
    assert.equal(shouldResume({ failuresWithoutProgress: MAX_FAILURES_WITHOUT_PROGRESS, kind: 'unavailable' }), false);
  });

  test('never repeats what cannot turn out otherwise', () => {
    for (const kind of ['invalid', 'not-found', 'denied']) {
      assert.equal(shouldResume({ failuresWithoutProgress: 1, kind }), false, kind);
    }
  });
});

describe('resumeDelay()', () => {
  test('is what the upstream asks for, up to two seconds', () => {
    assert.equal(resumeDelay(1, 1), 1000);
    assert.equal(resumeDelay(3, 0.1), 500);
    assert.equal(resumeDelay(2, 3600), 2000);
  });

  test('is nothing the first time, then doubles', () => {
    assert.deepEqual(
      [1, 2, 3].map((failures) => resumeDelay(failures)),
      [0, 250, 500],
    );
  });
});
