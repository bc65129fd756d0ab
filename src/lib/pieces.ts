import { setImmediate as nextTurn } from 'node:timers/promises';

/** Work that pauses after each piece of a few milliseconds. */
export type Pieces<T> = Generator<void, T, void>;

/** Entries of a long list that are one piece. */
export const PIECE = 256;

/** Does all the work in one turn of the event loop: where it is known to be little. */
export function atOnce<T>(work: Pieces<T>): T {
  for (;;) {
    const step = work.next();
    if (step.done === true) return step.value;
  }
}

/** Lets the event loop turn at each pause, so that other requests are served meanwhile. Little work takes no turn. */
export async function inTurns<T>(work: Pieces<T>): Promise<T> {
  for (;;) {
    const step = work.next();
    if (step.done === true) return step.value;
    await nextTurn();
  }
}

/** The results for all items of a list, with a pause after each {@link PIECE} of them. */
export function* mapInPieces<T, R>(items: readonly T[], map: (item: T, at: number) => R): Pieces<R[]> {
  const results: R[] = [];
  for (const [at, item] of items.entries()) {
    if (at > 0 && at % PIECE === 0) yield;
    results.push(map(item, at));
  }
  return results;
}
