import type { PullRecord } from '../store/index.ts';

/** Pulls that are written one by one at a time; the figures have the others too. */
export const MAX_WRITTEN = 1000;
/** Of these, refused ones, which a client without any right can cause. */
const MAX_REFUSED = 100;

/** At most {@link MAX_WRITTEN} pulls in their order: the failed ones, some refused ones, then the newest. */
export function mostImportant(pulls: readonly PullRecord[]): PullRecord[] {
  const refused = pulls.filter(({ outcome }) => outcome === 'refused');
  const tooMany = new Set(refused.slice(0, Math.max(0, refused.length - MAX_REFUSED)));
  const left = pulls.filter((pull) => !tooMany.has(pull));
  if (left.length <= MAX_WRITTEN) return left;
  const first = left.filter(({ outcome }) => outcome === 'failed' || outcome === 'refused').slice(-MAX_WRITTEN);
  const others = left.filter(({ outcome }) => outcome !== 'failed' && outcome !== 'refused');
  const chosen = new Set([...first, ...others.slice(others.length - (MAX_WRITTEN - first.length))]);
  return left.filter((pull) => chosen.has(pull));
}
