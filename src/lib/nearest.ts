/** Longer words are not compared: the cost grows with the product of the lengths. */
const MAX_LENGTH = 80;

/** The most similar word, if it is similar enough for a typing error: at most a third of its letters differ. */
export function nearest(word: string, among: Iterable<string>): string | undefined {
  let best: string | undefined;
  let least = Number.POSITIVE_INFINITY;
  const wanted = word.toLowerCase();
  if (wanted.length > MAX_LENGTH) return undefined;
  for (const candidate of among) {
    if (candidate.length > MAX_LENGTH) continue;
    const distance = editDistance(wanted, candidate.toLowerCase());
    if (distance < least && distance <= Math.max(1, Math.floor(Math.max(wanted.length, candidate.length) / 3))) {
      best = candidate;
      least = distance;
    }
  }
  return best;
}

/** The word that a typing error of one letter, or of letters in another order, makes of `word`; undefined where none is so near. */
export function mistypedFrom(word: string, among: Iterable<string>): string | undefined {
  const sorted = (text: string): string => text.split('').sort().join('');
  for (const candidate of among) {
    if (candidate === word || candidate.length > MAX_LENGTH || word.length > MAX_LENGTH) continue;
    if (sorted(candidate) === sorted(word) || editDistance(word, candidate) === 1) return candidate;
  }
  return undefined;
}

/** Insertions, deletions, substitutions, and neighbours that have changed places (optimal string alignment). */
function editDistance(a: string, b: string): number {
  let before: readonly number[] = [];
  let row: readonly number[] = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const change = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      const isSwap = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      const swap = isSwap ? (before[j - 2] ?? 0) + 1 : Number.POSITIVE_INFINITY;
      next.push(Math.min(change, swap, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    before = row;
    row = next;
  }
  return row[b.length] ?? 0;
}
