import { setImmediate as nextTurn } from 'node:timers/promises';
import {
  type Figure,
  type FigureKey,
  type FigureSums,
  type LastPull,
  loadPullStore,
  type PullFilter,
  type PullPosition,
  type PullRecord,
  type PullSummary,
} from '../store/index.ts';
import type { PullRecorder } from './recorder.ts';

/** Rows of figures that are read in one turn. */
const FIGURES_PAGE = 1000;
/** Tags of one repository whose last pull is told. */
const MOST_TAGS = 10_000;

interface RepositoryName {
  readonly registry: string;
  readonly repository: string;
}

/** Whether what is read may be told. */
type IsSeen = (repository: RepositoryName) => boolean | Promise<boolean>;

interface FiguresQuestion {
  /** Milliseconds since the epoch, at the start of an hour or day. */
  readonly from: number;
  readonly to: number;
  /** Milliseconds. */
  readonly step: number;
  readonly isSeen: IsSeen;
}

export interface FigureTotals {
  /** By the start of the step. */
  readonly steps: ReadonlyMap<number, FigureSums>;
  readonly repositories: readonly (RepositoryName & FigureSums)[];
}

/** Sums of what was recorded in a time, by step and by repository. The rows of days older than three are of whole days. */
export function readFigures(recorder: PullRecorder, question: FiguresQuestion): Promise<FigureTotals> {
  const { from, to, step } = question;
  const isSeen = remembered(question.isSeen);
  const steps = new Map<number, Sums>();
  const repositories = new Map<string, RepositoryName & Sums>();
  async function count(row: Figure): Promise<void> {
    const { period, registry, repository } = row;
    if (period < from || period >= to) return;
    const seen = isSeen(row);
    if (!(typeof seen === 'boolean' ? seen : await seen)) return;
    add(inMap(steps, period - (period % step), noSums), row);
    const key = `${registry}/${repository}`;
    add(
      inMap(repositories, key, () => ({ registry, repository, ...noSums() })),
      row,
    );
  }
  return recorder.read(async ({ store, figures }) => {
    for (const row of figures) await count(row);
    let after: FigureKey | undefined;
    for (let rows = FIGURES_PAGE; rows === FIGURES_PAGE; ) {
      const page = (await store?.figures({ from, to, after, limit: FIGURES_PAGE })) ?? [];
      for (const row of page) await count(row);
      after = page.at(-1);
      rows = page.length;
      await nextTurn();
    }
    const ordered = new Map([...steps].sort(([one], [other]) => one - other));
    return { steps: ordered, repositories: [...repositories.values()] };
  });
}

/** Where a list goes on: behind this pull of those that run, or of those that have ended. */
export interface ListPosition extends PullPosition {
  readonly isRunning: boolean;
}

interface ListQuestion {
  /** @default from the first */
  readonly after?: ListPosition | undefined;
  readonly limit: number;
  readonly filter: PullFilter;
  /** True: those under way alone. @default false */
  readonly onlyRunning?: boolean;
  readonly isSeen: IsSeen;
}

export interface ListedPulls {
  readonly pulls: readonly PullSummary[];
  /** Undefined on the last page. */
  readonly next: ListPosition | undefined;
}

/** Pulls that fit: first those under way, then the others, each the newest first. */
export async function listPulls(recorder: PullRecorder, question: ListQuestion): Promise<ListedPulls> {
  const { after, limit, filter, onlyRunning = false } = question;
  const isSeen = remembered(question.isSeen);
  const { matches, compareRecency } = await loadPullStore();
  return recorder.read(async ({ store, pulls: closed }) => {
    const found: PullSummary[] = [];
    const open = recorder.open().filter((pull) => matches(pull, filter));
    /** @returns whether the page is full */
    async function take(pulls: readonly PullSummary[]): Promise<boolean> {
      for (const pull of pulls) {
        if (found.length > limit) return true;
        if (await isSeen(pull)) found.push(pull);
      }
      return found.length > limit;
    }
    function behind(position: PullPosition | undefined, pulls: readonly PullSummary[]): readonly PullSummary[] {
      const left = position === undefined ? pulls : pulls.filter((pull) => compareRecency(pull, position) > 0);
      return left.toSorted(compareRecency);
    }
    const running = open.filter((pull) => pull.running === true);
    const isFull = after?.isRunning !== false && (await take(behind(after, running)));
    if (!isFull && !onlyRunning) {
      const position = after?.isRunning === false ? after : undefined;
      const ended = [
        ...open.filter((pull) => pull.running !== true),
        ...closed.filter((pull) => matches(pull, filter)),
      ];
      let recent = behind(position, ended);
      let before: PullPosition | undefined = position;
      for (;;) {
        const page = (await store?.list({ before, limit: limit + 1, filter })) ?? [];
        const last = page.at(-1);
        // What is newer than the last of the page belongs before it.
        const isLast = last === undefined || page.length <= limit;
        const now = isLast ? recent : recent.filter((pull) => compareRecency(pull, last) < 0);
        recent = isLast ? [] : recent.filter((pull) => compareRecency(pull, last) > 0);
        if ((await take([...now, ...page].sort(compareRecency))) || isLast) break;
        before = last;
        await nextTurn();
      }
    }
    const pulls = found.slice(0, limit).map(withoutRequests);
    const last = pulls.at(-1);
    const next = found.length > limit && last !== undefined ? positionOf(last) : undefined;
    return { pulls, next };
  });
}

function positionOf({ at, id, running }: PullSummary): ListPosition {
  return { at, id, isRunning: running === true };
}

/** A pull by the id of any of its requests; undefined where none has it listed. */
export async function findPull(recorder: PullRecorder, request: string): Promise<PullRecord | undefined> {
  const { asksFor } = await loadPullStore();
  return recorder.read(async ({ store, pulls }) => {
    const here = recorder.findOpen(request) ?? pulls.find((pull) => asksFor(pull, request));
    return here ?? (await store?.find(request));
  });
}

/** When the tags of a repository were last pulled, and by whom; a tag that is empty stands for digests. */
export function lastPullsOf(recorder: PullRecorder, name: RepositoryName): Promise<ReadonlyMap<string, LastPull>> {
  const { registry, repository } = name;
  return recorder.read(async ({ store, lastPulls }) => {
    const stored = (await store?.lastPulls({ registry, repository }, MOST_TAGS)) ?? [];
    const recent = lastPulls.filter((each) => each.registry === registry && each.repository === repository);
    return new Map([...stored, ...recent].map((each) => [each.tag, each]));
  });
}

/** When repositories were last pulled, by any tag or digest: one answer for each, undefined where that is not known. */
export function lastPullOfEach(
  recorder: PullRecorder,
  names: readonly RepositoryName[],
): Promise<readonly (LastPull | undefined)[]> {
  return recorder.read(async ({ store, lastPulls }) => {
    const recent = new Map<string, LastPull>();
    for (const each of lastPulls) {
      const key = `${each.registry}/${each.repository}`;
      if ((recent.get(key)?.at ?? 0) <= each.at) recent.set(key, each);
    }
    const found: (LastPull | undefined)[] = [];
    for (const { registry, repository } of names) {
      const here = recent.get(`${registry}/${repository}`);
      found.push(here ?? (await store?.lastPulls({ registry, repository }, 1))?.[0]);
    }
    return found;
  });
}

type Sums = { -readonly [K in keyof FigureSums]: number };

function noSums(): Sums {
  return { pulls: 0, requests: 0, hits: 0, failed: 0, bytes: 0, fetched: 0 };
}

function add(sums: Sums, { pulls, requests, hits, failed, bytes, fetched }: FigureSums): void {
  sums.pulls += pulls;
  sums.requests += requests;
  sums.hits += hits;
  sums.failed += failed;
  sums.bytes += bytes;
  sums.fetched += fetched;
}

function inMap<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  const found = map.get(key) ?? make();
  map.set(key, found);
  return found;
}

/** Asks once for each repository. */
function remembered(isSeen: IsSeen): IsSeen {
  const answers = new Map<string, boolean | Promise<boolean>>();
  return ({ registry, repository }) => {
    const key = `${registry}/${repository}`;
    const known = answers.get(key);
    if (known !== undefined) return known;
    const answer = isSeen({ registry, repository });
    answers.set(key, answer);
    if (typeof answer !== 'boolean')
      void answer.then(
        (seen) => answers.set(key, seen),
        () => undefined,
      );
    return answer;
  };
}

function withoutRequests(pull: PullSummary & Partial<PullRecord>): PullSummary {
  const { requestList: _, omitted: __, rule: ___, verdict: ____, ...summary } = pull;
  return summary;
}
