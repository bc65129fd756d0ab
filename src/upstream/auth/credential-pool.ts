import type { PullRateLimit, Quota } from '../rate-limit.ts';
import type { RequestKind } from '../upstream-request.ts';

/** What {@link chooseCredential} knows of one credential. */
export interface CredentialBudget {
  readonly budget: PullRateLimit | undefined;
  /** True where it was throttled or refused and is not used now. */
  readonly aside: boolean;
}

/** Below this number of pulls, or this share of its limit, another credential is preferred. */
const LOW_PULLS = 5;
const LOW_SHARE = 0.1;
/** How long a limit without a window counts. */
const BELIEVED_MS = 15 * 60_000;
/**
 * After a 429 without a time. Its window may have begun long ago, so the credential does not rest for the whole window: one
 * attempt in a quarter of an hour is cheap, half a window of unused pulls is not.
 */
const PARKED_MS = 15 * 60_000;
const REFUSED_MS = 60_000;

/** True where so little is left that another credential should be used, before a pull fails. */
export function isLow(budget: PullRateLimit | undefined): boolean {
  if (budget === undefined) return false;
  return budget.remaining < LOW_PULLS || budget.remaining < (budget.limit ?? 0) * LOW_SHARE;
}

/**
 * Which credential is used next: the current one until its budget runs low, then the one with the most left. An unknown
 * budget counts as full. Changing no more often than that keeps tokens and connections in use.
 *
 * @returns undefined where all are aside
 */
export function chooseCredential(budgets: readonly CredentialBudget[], current: number): number | undefined {
  const now = budgets[current];
  if (now !== undefined && !now.aside && !isLow(now.budget)) return current;
  let best: number | undefined;
  let most = -1;
  for (const [index, { budget, aside }] of budgets.entries()) {
    const left = budget?.remaining ?? Number.POSITIVE_INFINITY;
    if (aside || left <= most) continue;
    best = index;
    most = left;
  }
  return best;
}

/** A time span in milliseconds. It also ends where the clock was set back. */
interface Span {
  readonly from: number;
  readonly until: number;
}

interface PooledCredential<C> {
  readonly credential: C;
  quota: (Span & { readonly quota: Quota }) | undefined;
  /** How long it is throttled, by kind of request. */
  readonly parked: Map<RequestKind, Span>;
  refused: Span | undefined;
}

/** The credentials of one upstream, used in turn as their budgets run low. There is always at least one. */
export class CredentialPool<C extends object> {
  readonly #entries: readonly [PooledCredential<C>, ...PooledCredential<C>[]];
  readonly #now: () => number;
  #current = 0;

  /** @param now milliseconds since the epoch */
  constructor(credentials: readonly [C, ...C[]], now: () => number) {
    this.#now = now;
    const [first, ...rest] = credentials;
    this.#entries = [entryOf(first), ...rest.map(entryOf)];
  }

  get size(): number {
    return this.#entries.length;
  }

  get first(): C {
    return this.#entries[0].credential;
  }

  /** The credential for a request; undefined where each was tried or is throttled for this kind. */
  choose(kind: RequestKind, tried: ReadonlySet<C>): C | undefined {
    const budgets = this.#budgets(kind, tried, { refused: false });
    // Where only refused ones are left, they are tried again: the operator may have fixed one.
    const chosen =
      chooseCredential(budgets, this.#current) ??
      chooseCredential(this.#budgets(kind, tried, { refused: true }), this.#current);
    if (chosen === undefined) return undefined;
    this.#current = chosen;
    return this.#entries[chosen]?.credential;
  }

  /** Notes the budget that an answer stated. */
  observe(credential: C, quota: Quota): void {
    const believed = quota.windowSeconds === undefined ? BELIEVED_MS : quota.windowSeconds * 1000;
    this.#entryOf(credential).quota = { quota, ...this.#span(believed) };
  }

  /** Suspends a throttled credential for this kind of request. @param seconds from `Retry-After`, where the registry sent it */
  park(credential: C, kind: RequestKind, seconds: number | undefined): void {
    const entry = this.#entryOf(credential);
    const window = entry.quota?.quota.windowSeconds ?? Number.POSITIVE_INFINITY;
    const milliseconds = seconds === undefined ? Math.min(PARKED_MS, window * 1000) : seconds * 1000;
    entry.parked.set(kind, this.#span(milliseconds));
  }

  /** Suspends a refused credential for a minute, so that not every request begins with a refusal. */
  refuse(credential: C): void {
    this.#entryOf(credential).refused = this.#span(REFUSED_MS);
  }

  /** Milliseconds until the first throttled credential may be used for a kind of request; undefined: none is throttled. */
  wait(kind: RequestKind): number | undefined {
    const now = this.#now();
    const waits = this.#entries.flatMap(({ parked }) => {
      const span = parked.get(kind);
      return holds(span, now) ? [span.until - now] : [];
    });
    return waits.length === 0 ? undefined : Math.min(...waits);
  }

  /** The budgets that are known now, in the order of the configuration. */
  quotas(): readonly Quota[] {
    return this.#entries.flatMap((entry) => this.#quotaOf(entry) ?? []);
  }

  #budgets(kind: RequestKind, tried: ReadonlySet<C>, { refused }: { refused: boolean }): readonly CredentialBudget[] {
    const now = this.#now();
    return this.#entries.map((entry) => ({
      budget: this.#quotaOf(entry),
      aside:
        tried.has(entry.credential) || holds(entry.parked.get(kind), now) || (!refused && holds(entry.refused, now)),
    }));
  }

  #quotaOf({ quota }: PooledCredential<C>): Quota | undefined {
    return holds(quota, this.#now()) ? quota.quota : undefined;
  }

  #span(milliseconds: number): Span {
    const from = this.#now();
    return { from, until: from + milliseconds };
  }

  #entryOf(credential: C): PooledCredential<C> {
    const found = this.#entries.find((each) => each.credential === credential);
    if (found === undefined) throw new RangeError('Cannot note anything of a credential that is not in this pool');
    return found;
  }
}

function entryOf<C>(credential: C): PooledCredential<C> {
  return { credential, quota: undefined, parked: new Map(), refused: undefined };
}

function holds<S extends Span>(span: S | undefined, now: number): span is S {
  return span !== undefined && now >= span.from && now < span.until;
}
