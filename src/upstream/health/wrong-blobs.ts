import { Lru } from '../../lib/index.ts';
import type { Digest } from '../../oci/index.ts';

/** Digests remembered for one upstream. */
const MOST = 1000;
/** How long an upstream that gave a wrong blob is asked after the others. Milliseconds. */
export const WRONG_FOR_MS = 10 * 60_000;

/**
 * The blobs that one upstream gave wrongly not long ago: a page, other bytes, a body that never reaches its end. For these
 * alone it has failed, so its circuit stays as it is.
 */
export class WrongBlobs {
  readonly #now: () => number;
  readonly #since = new Lru<number>({ maxWeight: MOST });

  /** @param now milliseconds since the epoch */
  constructor(now: () => number) {
    this.#now = now;
  }

  add(digest: Digest): void {
    this.#since.set(digest, this.#now());
  }

  /** When the blob was given wrongly, in milliseconds since the epoch; undefined where that is long ago or never was. */
  since(digest: Digest): number | undefined {
    const since = this.#since.get(digest);
    return since === undefined || Math.abs(this.#now() - since) > WRONG_FOR_MS ? undefined : since;
  }
}

/** The order in which upstreams are asked for a blob: those that gave it wrongly come last, the latest at the end. */
export function rightFirst<U>(upstreams: readonly U[], wrongSince: (upstream: U) => number | undefined): readonly U[] {
  const since = upstreams.map((upstream) => ({ upstream, at: wrongSince(upstream) ?? Number.NEGATIVE_INFINITY }));
  return since.sort((a, b) => (a.at === b.at ? 0 : a.at - b.at)).map(({ upstream }) => upstream);
}
