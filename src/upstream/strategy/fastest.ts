import type { Measured, PaceView } from './pace.ts';

/** One upstream, as the policy sees it. */
export interface Runner {
  readonly name: string;
  readonly pace: PaceView;
  /** A request to it would fail at once. */
  readonly isResting: boolean;
}

/** What is asked. */
export interface Errand {
  readonly content: Measured;
  /** Bytes of the blob, or of its part; undefined where that is not known. */
  readonly size?: number | undefined;
  /** It is over soon at a slow upstream too: only such a request tries one. */
  readonly isSmall: boolean;
}

/** Another upstream takes the lead where it needs at most this share of the leader's time. */
export const LEAD_SHARE = 0.8;
/** Milliseconds after which an upstream is measured again. */
export const STALE_AFTER_MS = 5 * 60_000;
/** Milliseconds after which an upstream that was tried, and was not measured by that, is tried again. */
export const TRIED_AGAIN_AFTER_MS = 2 * 60_000;
/** The share of small requests that measure an upstream again, while one is due. */
export const TRY_SHARE = 1 / 8;
/** Bytes that a blob of unknown size is taken to have. */
const USUAL_SIZE = 4 * 1024 * 1024;

export interface FastestOptions {
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** From 0 to below 1. */
  readonly random: () => number;
}

/**
 * The order of a registry's upstreams by how long each is expected to take.
 *
 * First the measured ones, the fastest at the front; the one that was there stays until another is clearly faster. Then those
 * that were never measured, in the order of the configuration, and last those that are resting. One that was never measured is
 * tried by the next small request; one whose measurement is old, by a small request now and then.
 */
export class Fastest {
  readonly #options: FastestOptions;
  /** The name that is at the front, for manifests, for small blobs and for large ones. */
  readonly #leaders = new Map<string, string>();
  /** When an upstream was last tried, by its name. */
  readonly #tried: Readonly<Record<Measured, Map<string, number>>> = { manifest: new Map(), blob: new Map() };

  constructor(options: FastestOptions) {
    this.#options = options;
  }

  /** The order for a request, which may try an upstream. */
  order<R extends Runner>(runners: readonly R[], errand: Errand): readonly R[] {
    const ordered = this.preview(runners, errand);
    const [first] = ordered;
    if (first !== undefined && isMeasured(first)) this.#leaders.set(classOf(errand), first.name);
    const tried = errand.isSmall ? this.#choose(runners, { ordered, content: errand.content }) : undefined;
    if (tried === undefined) return ordered;
    this.#tried[errand.content].set(tried.name, this.#options.now());
    return [tried, ...ordered.filter((each) => each !== tried)];
  }

  /** The order without a trial; changes nothing. */
  preview<R extends Runner>(runners: readonly R[], errand: Errand): readonly R[] {
    const awake = runners.filter(({ isResting }) => !isResting);
    const times = timesOf(awake, errand);
    const byTime = awake.filter(isMeasured).sort((a, b) => (times.get(a) ?? 0) - (times.get(b) ?? 0));
    const [best] = byTime;
    const leader = byTime.find(({ name }) => name === this.#leaders.get(classOf(errand)));
    const stays =
      leader !== undefined && best !== undefined && (times.get(best) ?? 0) > LEAD_SHARE * (times.get(leader) ?? 0);
    const measured = stays ? [leader, ...byTime.filter((each) => each !== leader)] : byTime;
    const unmeasured = awake.filter((each) => !isMeasured(each));
    return [...measured, ...unmeasured, ...runners.filter(({ isResting }) => isResting)];
  }

  /** The upstream that this request tries. */
  #choose<R extends Runner>(
    runners: readonly R[],
    { ordered, content }: { readonly ordered: readonly R[]; readonly content: Measured },
  ): R | undefined {
    const now = this.#options.now();
    const isDue = (each: R): boolean => {
      const { measuredAt = Number.NEGATIVE_INFINITY } = each.pace;
      const triedAt = this.#tried[content].get(each.name) ?? Number.NEGATIVE_INFINITY;
      return (
        !each.isResting &&
        each !== ordered[0] &&
        isPast(now - triedAt, TRIED_AGAIN_AFTER_MS) &&
        isPast(now - measuredAt, STALE_AFTER_MS)
      );
    };
    const due = runners.filter(isDue);
    const isNew = (each: R): boolean => !isMeasured(each) && !this.#tried[content].has(each.name);
    // The first request of all measures the first upstream.
    if (ordered[0] === undefined || !isMeasured(ordered[0])) return undefined;
    const untried = due.find(isNew);
    if (untried !== undefined) return untried;
    if (due.length === 0 || this.#options.random() >= TRY_SHARE) return undefined;
    return due.reduce((oldest, each) => (atOf(each) < atOf(oldest) ? each : oldest));
  }
}

/** Also true where the clock was set back: otherwise one that was wrong by a day would stop all trials for a day. */
function isPast(age: number, milliseconds: number): boolean {
  return age >= milliseconds || age < 0;
}

function atOf({ pace }: Runner): number {
  return pace.measuredAt ?? Number.NEGATIVE_INFINITY;
}

function isMeasured({ pace }: Runner): boolean {
  return pace.latencyMs !== undefined;
}

/** Sizes between which the fastest upstream may differ, as latency counts at one and the rate at the other. */
function classOf({ content, size = USUAL_SIZE }: Errand): string {
  return content === 'blob' && size >= USUAL_SIZE ? 'large blob' : content;
}

/** The milliseconds that each is expected to take. Of an unknown rate the best is assumed: the next large blob measures it. */
function timesOf<R extends Runner>(
  runners: readonly R[],
  { content, size = USUAL_SIZE }: Errand,
): ReadonlyMap<R, number> {
  const best = Math.max(0, ...runners.map(({ pace }) => pace.bytesPerSecond ?? 0));
  return new Map(
    runners.map((each) => {
      const { latencyMs = 0, bytesPerSecond: rate = best } = each.pace;
      return [each, latencyMs + (content === 'blob' && rate > 0 ? (size * 1000) / rate : 0)];
    }),
  );
}
