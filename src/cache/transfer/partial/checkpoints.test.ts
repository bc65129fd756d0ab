import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Digester } from '../../../oci/index.ts';
import { Checkpoints } from './checkpoints.ts';
import type { Checkpoint } from './note.ts';

const MB = 1024 * 1024;
const SIZE = 8 * MB;

/** One that has seen bytes of a value, and one of another value at a position. */
function seen(bytes: number, wrongAt?: number): Digester {
  const digester = new Digester('sha256');
  const buffer = Buffer.alloc(bytes, 7);
  if (wrongAt !== undefined) buffer[wrongAt] = 8;
  digester.update(buffer);
  return digester;
}

/** What a transfer of so many MiB notes. */
function noted(count: number): readonly Checkpoint[] {
  const made = new Checkpoints(SIZE, [], new Digester('sha256'));
  for (let at = 1; at <= count; at += 1) assert.equal(made.reached(at * MB, seen(at * MB)), 'right');
  return made.all;
}

describe('Checkpoints', () => {
  test('are made at each step, and found right again', () => {
    const points = noted(3);
    assert.deepEqual(
      points.map(({ position }) => position),
      [MB, 2 * MB, 3 * MB],
    );
    const again = new Checkpoints(SIZE, points, new Digester('sha256'));
    for (const at of [1, 2, 3]) {
      assert.equal(again.next, at * MB);
      assert.equal(again.readableTo, (at - 1) * MB, 'nothing is read before it is compared');
      assert.equal(again.reached(at * MB, seen(at * MB)), 'right');
    }
    assert.equal(again.readableTo, Number.POSITIVE_INFINITY);
    assert.deepEqual(again.all, points);
  });

  test('are few, however large the blob', () => {
    const checkpoints = new Checkpoints(2 ** 40, [], new Digester('sha256'));
    assert.equal(checkpoints.next, 2 ** 34);
  });

  test('send the front back to the last right one where a byte has changed, and are compared again', () => {
    const checkpoints = new Checkpoints(SIZE, noted(3), new Digester('sha256'));
    checkpoints.reached(MB, seen(MB));
    const found = checkpoints.reached(2 * MB, seen(2 * MB, MB + 5));
    assert.ok(typeof found === 'object');
    assert.deepEqual([found.position, found.end], [MB, 2 * MB]);
    assert.equal(found.digester.digest(), seen(MB).digest());
    assert.equal(checkpoints.readableTo, 2 * MB, 'what comes now is read as it comes');
    assert.equal(checkpoints.reached(2 * MB, seen(2 * MB)), 'right');
    assert.equal(checkpoints.next, 3 * MB);
  });

  test('are all forgotten where what comes now is other content', () => {
    const checkpoints = new Checkpoints(SIZE, noted(3), new Digester('sha256'));
    assert.ok(typeof checkpoints.reached(MB, seen(MB, 5)) === 'object');
    assert.equal(checkpoints.reached(MB, seen(MB, 5)), 'wrong');
    assert.equal(checkpoints.readableTo, Number.POSITIVE_INFINITY);
    assert.deepEqual(checkpoints.all, []);
    assert.equal(checkpoints.next, 2 * MB, 'it lies ahead of the front');
  });

  test('are forgotten behind the place from which the front goes on', () => {
    const checkpoints = new Checkpoints(SIZE, [], new Digester('sha256'));
    for (const at of [1, 2, 3]) checkpoints.reached(at * MB, seen(at * MB));
    checkpoints.forget(2 * MB);
    checkpoints.end(2 * MB + 5, seen(2 * MB + 5));
    assert.deepEqual(
      checkpoints.all.map(({ position }) => position),
      [MB, 2 * MB, 2 * MB + 5],
    );
    assert.equal(checkpoints.next, 3 * MB);
  });

  test('are passed over where the front goes beyond', () => {
    const checkpoints = new Checkpoints(SIZE, noted(2), new Digester('sha256'));
    assert.ok(typeof checkpoints.reached(MB, seen(MB, 5)) === 'object');
    assert.equal(checkpoints.reached(MB + 7, seen(MB + 7)), 'right');
    assert.equal(checkpoints.next, 2 * MB);
  });
});
