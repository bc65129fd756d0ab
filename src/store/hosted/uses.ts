const HOUR = 3_600_000;

/** Milliseconds. A use is written where the one that is written is this old: a client that asks again and again costs one write. */
export const HOSTED_USE_NOTED_AFTER = HOUR;

/**
 * Milliseconds for which a record has to be unused before `collect` may take it. A use that was not written
 * came less than {@link HOSTED_USE_NOTED_AFTER} after the one that is, so "it exists" protects for the difference: an hour.
 */
export const MIN_HOSTED_UNUSED = 2 * HOUR;

/** Whether a use is written. */
export function isUseNoted(usedAt: number, at: number): boolean {
  return at - usedAt >= HOSTED_USE_NOTED_AFTER;
}
