import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { atOnce, inTurns, mapInPieces, PIECE, type Pieces } from './pieces.ts';

const numbers = (count: number): readonly number[] => Array.from({ length: count }, (_, at) => at);

/** The turns of the event loop while a promise is pending. */
async function turnsOf(work: Promise<unknown>): Promise<number> {
  const over = { yet: false };
  const done = work.finally(() => (over.yet = true));
  let turns = 0;
  for (; !over.yet; turns += 1) await new Promise(setImmediate);
  await done;
  return turns;
}

describe('work in pieces', () => {
  test('pauses after each piece of a list, and not after the last', () => {
    for (const [count, pauses] of [
      [0, 0],
      [1, 0],
      [PIECE, 0],
      [PIECE + 1, 1],
      [3 * PIECE, 2],
      [10_000, Math.ceil(10_000 / PIECE) - 1],
    ] as const) {
      assert.equal([...mapInPieces(numbers(count), () => 0)].length, pauses, `${count} items`);
    }
  });

  test('gives the same at once and in turns', async () => {
    const double = (): Pieces<number[]> => mapInPieces(numbers(1000), (each, at) => each + at);
    assert.deepEqual(
      atOnce(double()),
      numbers(1000).map((each) => 2 * each),
    );
    assert.deepEqual(await inTurns(double()), atOnce(double()));
  });

  test('lets the event loop turn at each pause; little work takes no turn', async () => {
    assert.ok((await turnsOf(inTurns(mapInPieces(numbers(10 * PIECE), () => 0)))) >= 9);
    assert.equal(await turnsOf(inTurns(mapInPieces(numbers(PIECE), () => 0))), 1);
  });

  test('an error of a piece is an error of the whole', async () => {
    const broken = (): Pieces<number[]> =>
      mapInPieces(numbers(1000), (at) => {
        if (at === 999) throw new Error('the last one');
        return at;
      });
    assert.throws(() => atOnce(broken()), /the last one/);
    await assert.rejects(inTurns(broken()), /the last one/);
  });
});
