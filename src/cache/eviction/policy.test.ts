import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { bytesToFree, floorOf, LOOK_AHEAD, type Usage } from './policy.ts';

const GIB = 2 ** 30;

describe('floorOf()', () => {
  const rows = [
    [undefined, 1000 * GIB, GIB, 'a gibibyte of a large disk'],
    [undefined, 10 * GIB, Math.floor(0.2 * GIB), 'a fiftieth of a small one'],
    [0, 10 * GIB, 0, 'none where none is wanted'],
    [5, 10 * GIB, 5, 'bytes as they are given'],
    [{ share: 0.1 }, 1000, 100, 'a share of the whole'],
  ] as const;
  for (const [minFree, total, expected, what] of rows) {
    test(what, () => assert.equal(floorOf(minFree, total), expected));
  }
});

describe('bytesToFree()', () => {
  const calm: Usage = { stored: 100, arrivals: [], maxSize: 100, disk: { free: 1000, floor: 1000 } };
  const rows: [what: string, changes: Partial<Usage>, expected: number][] = [
    ['nothing at the limits', {}, 0],
    ['nothing where there are no limits', { stored: 1e15, maxSize: undefined, disk: undefined }, 0],
    ['down to 95 % of the limit', { stored: 101 }, 6],
    ['down to 95 % where the headroom is wanted too', { eager: true, disk: undefined }, 5],
    ['nothing where the headroom is there', { eager: true, stored: 95, disk: { free: 1050, floor: 1000 } }, 0],
    ['for what is coming', { arrivals: [{ written: 3, size: 10, keep: true }] }, 57],
    ['for what only passes, on the disk alone', { arrivals: [{ written: 3, size: 10, keep: false }] }, 57],
    [
      'nothing for what only passes, where the disk has room',
      {
        arrivals: [{ written: 3, size: 10, keep: false }],
        disk: { free: 1007, floor: 1000 },
      },
      0,
    ],
    ['down to the floor and a twentieth of it', { disk: { free: 900, floor: 1000 } }, 150],
    ['whatever asks for more', { stored: 1000, disk: { free: 900, floor: 1000 } }, 905],
  ];
  const MIB = 1024 ** 2;
  const large: Partial<Usage> = { stored: 90 * MIB, maxSize: 100 * MIB, disk: undefined };
  rows.push(
    ['nothing for the database that every cache has', { ...large, overhead: 18 * MIB }, 0],
    ['for a database that takes more', { ...large, overhead: 19 * MIB }, 6 * MIB],
    ['for half of the limit at most, whatever the database takes', { ...large, overhead: 1e15 }, 45 * MIB],
    ['nothing of a cache that a large database would fill', { ...large, stored: 50 * MIB, overhead: 1e15 }, 0],
  );
  for (const [what, changes, expected] of rows) {
    test(what, () => assert.equal(bytesToFree({ ...calm, ...changes }), expected));
  }

  test('what a transfer claims to become is made room for as it comes true', () => {
    const huge = { written: 0, size: 1e15, keep: true };
    const weighing = { stored: 0, maxSize: 1e12, disk: undefined };
    assert.equal(bytesToFree({ ...weighing, arrivals: [huge] }), 0);
    assert.ok(bytesToFree({ ...weighing, arrivals: [{ ...huge, written: 1e12 }] }) >= LOOK_AHEAD);
  });

  test('a transfer of unknown size counts twice what has come, and so for nothing before it begins', () => {
    const weighing = { stored: 100, maxSize: 100, disk: { free: 0, floor: 0 } };
    const coming = (written: number) => [{ written, size: undefined, keep: true }];
    assert.equal(bytesToFree({ ...weighing, arrivals: coming(0) }), 0);
    assert.equal(bytesToFree({ ...weighing, arrivals: coming(10) }), 25);
    assert.equal(bytesToFree({ ...weighing, maxSize: undefined, arrivals: coming(10) }), 10);
  });
});
