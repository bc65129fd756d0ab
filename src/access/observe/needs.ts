import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Observation, ObservationStore } from '../../store/index.ts';

/** Rows read at a time: some milliseconds, after which the event loop turns. */
const PAGE = 1000;

/** What a principal did with a repository over a time, and was refused. Times are milliseconds since the epoch. */
export interface Need {
  readonly principal: string;
  readonly action: string;
  /** As a pattern of rules; see `targetOf`. */
  readonly target: string;
  /** Requests that were answered. */
  readonly answered: number;
  /** Of these, requests that only audit mode let through. */
  readonly audited: number;
  /** The last answered request; undefined where all were refused. */
  readonly answeredAt: number | undefined;
  /** Requests that were refused. */
  readonly denied: number;
  readonly deniedAt: number | undefined;
}

export interface NeedsReading {
  readonly needs: readonly Need[];
  /** Requests whose names were not recorded: there were too many, or a pattern cannot name them. */
  readonly unnamed: { readonly answered: number; readonly denied: number };
}

interface NeedsOptions {
  /** Milliseconds since the epoch. */
  readonly since: number;
  /** Whom rules have to name for an observed principal, such as the user for whom a token acts. @default itself */
  readonly ruledAs?: (principal: string) => string;
  /** Counts that the store does not have. @default none */
  readonly unwritten?: readonly Observation[];
}

/** Sums up what was observed from a time on, for each principal that rules can name. */
export async function needsOf(
  store: ObservationStore,
  { since, ruledAs = (principal) => principal, unwritten = [] }: NeedsOptions,
): Promise<NeedsReading> {
  const needs = new Map<string, Need>();
  const unnamed = { answered: 0, denied: 0 };
  const count = (row: Observation): void => {
    if (row.lastAt < since) return;
    if (row.principal === '') unnamed[row.verdict === 'denied' ? 'denied' : 'answered'] += row.count;
    else add(needs, { ...row, principal: ruledAs(row.principal) });
  };
  unwritten.forEach(count);
  for (let after: Observation | undefined, page = PAGE; page === PAGE; await nextTurn()) {
    const rows = await store.list({ after, limit: PAGE });
    rows.forEach(count);
    after = rows.at(-1);
    page = rows.length;
  }
  return { needs: [...needs.values()], unnamed };
}

function add(needs: Map<string, Need>, { principal, action, target, verdict, count, lastAt }: Observation): void {
  const key = `${action}\n${principal}\n${target}`;
  const found = needs.get(key) ?? {
    principal,
    action,
    target,
    answered: 0,
    audited: 0,
    answeredAt: undefined,
    denied: 0,
    deniedAt: undefined,
  };
  const sum =
    verdict === 'denied'
      ? { ...found, denied: found.denied + count, deniedAt: Math.max(found.deniedAt ?? 0, lastAt) }
      : {
          ...found,
          answered: found.answered + count,
          audited: found.audited + (verdict === 'would-deny' ? count : 0),
          answeredAt: Math.max(found.answeredAt ?? 0, lastAt),
        };
  needs.set(key, sum);
}
