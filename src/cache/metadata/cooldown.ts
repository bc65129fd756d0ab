import type { Digest } from '../../oci/index.ts';
import type { TagMove } from '../../store/index.ts';

/** A tag that points to a digest younger than its cooldown. */
export interface Cooling {
  /** The newest digest that is old enough; undefined where the tag never pointed to one. */
  readonly aged: TagMove | undefined;
  /** When the digest that the tag points to is old enough, milliseconds since the epoch. */
  readonly until: number;
}

interface CoolingOptions {
  /** Where the tag points. */
  readonly current: Digest;
  /** Milliseconds for which a digest must have been known. */
  readonly cooldown: number;
  /** Milliseconds since the epoch. */
  readonly now: number;
}

/**
 * Whether a tag points to a digest younger than its cooldown; undefined where it does not. The age of a digest counts from the
 * first time that this server saw the tag point to it, however often the tag has moved since.
 *
 * @param moves newest first
 */
export function coolingOf(moves: readonly TagMove[], { current, cooldown, now }: CoolingOptions): Cooling | undefined {
  if (cooldown === 0) return undefined;
  const firstSeen = new Map<Digest, number>();
  // A clock that was set back must not make an old digest young.
  for (const { digest, seenAt } of moves) firstSeen.set(digest, Math.min(seenAt, firstSeen.get(digest) ?? seenAt));
  const until = (firstSeen.get(current) ?? now) + cooldown;
  if (until <= now) return undefined;
  return { until, aged: moves.find(({ digest }) => (firstSeen.get(digest) ?? now) + cooldown <= now) };
}
