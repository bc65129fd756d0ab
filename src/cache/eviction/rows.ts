import { setImmediate as nextTurn } from 'node:timers/promises';
import { keyOf } from '../../lib/index.ts';
import type { Digest, Repository } from '../../oci/index.ts';
import type { MetadataStore, NotedMember, TagEntry, UrlEntry } from '../../store/index.ts';
import { isOver, PAGE, pages } from '../metadata/index.ts';

const MIB = 1024 ** 2;
const HOUR = 3600_000;

/** Share of a budget that remains after a trim, so that the next row does not start another. */
const REMAINDER = 0.9;

/** Milliseconds since a row was noted, the oldest rows first: those of what is being pulled go last. */
const AGES_OF_EVICTED = [HOUR, HOUR / 12, 0];
const AGES_OF_STORED = [30 * 24 * HOUR, 7 * 24 * HOUR, 24 * HOUR, ...AGES_OF_EVICTED];

/** Rows of members deleted in one transaction: a few milliseconds, after which the event loop turns. */
const PIECE = 128;

/** Rows deleted one by one between two turns of the event loop. */
const SINGLES = 16;

/** Bytes that the rows of tags, members and URLs may take. */
export interface RowBudget {
  /** Above it, rows whose blobs are not stored are deleted: they only spare the next pull a question to the upstream. */
  readonly evicted: number;
  /** Above it, rows of stored blobs are deleted too: any number of names may lead to one blob. */
  readonly all: number;
  /** Above it, no row is added. */
  readonly most: number;
}

/** The budget of rows. @param size what the cache or, without a limit, the disk holds at most; undefined: no limit */
export function rowBudget(size = Number.POSITIVE_INFINITY): RowBudget {
  // The least is enough for some thousand images: a small cache works too.
  const all = Math.max(8 * MIB, size / 8);
  return { evicted: Math.max(2 * MIB, size / 100), all, most: all * 1.25 };
}

interface TrimOptions {
  readonly metadata: MetadataStore;
  readonly budget: Pick<RowBudget, 'evicted' | 'all'>;
  /** The digests whose rows stay although the rows of stored blobs are deleted. */
  readonly retained: () => Promise<ReadonlySet<Digest>>;
  /** Milliseconds since the epoch. */
  readonly now: number;
}

/**
 * Deletes rows above their budget, the oldest first: those whose blobs are not stored, and where that is not enough, those of
 * stored blobs that are not retained. A deleted row costs the next pull a question to the upstream: a HEAD, or the manifest.
 *
 * @returns the number of rows deleted
 */
export async function trimRows({ metadata, budget, retained, now }: TrimOptions): Promise<number> {
  const tools = { metadata, now };
  const evicted = await deleteOldest(AGES_OF_EVICTED, { ...tools, most: budget.evicted, mayGo: isEvicted(metadata) });
  if ((await metadata.footprint()).rowBytes <= budget.all) return evicted;
  const kept = await retained();
  const mayGo = async ({ digest }: Noted): Promise<boolean> => !kept.has(digest);
  return evicted + (await deleteOldest(AGES_OF_STORED, { ...tools, most: budget.all, mayGo, withUrls: true }));
}

/** What a row leads to. */
interface Noted {
  readonly digest: Digest;
  /** Undefined where it is not known yet. */
  readonly isStored?: boolean;
}

function isEvicted(metadata: MetadataStore): (row: Noted) => Promise<boolean> {
  return async ({ digest, isStored }) => !(isStored ?? (await metadata.getBlob(digest)) !== undefined);
}

interface DeletionOptions {
  readonly metadata: MetadataStore;
  readonly now: number;
  /** Ends where the rows take nine tenths of it. */
  readonly most: number;
  readonly mayGo: (row: Noted) => Promise<boolean>;
  /** A URL's record goes with its blob; so no record of a URL is left of an evicted blob. @default false */
  readonly withUrls?: boolean;
}

async function deleteOldest(ages: readonly number[], options: DeletionOptions): Promise<number> {
  const { metadata, most, now, withUrls = false } = options;
  let deleted = 0;
  for (const age of ages) {
    const before = age === 0 ? Number.POSITIVE_INFINITY : now - age;
    const passes = [deleteMembers, deleteTags, ...(withUrls ? [deleteUrls] : [])];
    for (const pass of passes) {
      for await (const count of pass(before, options)) {
        deleted += count;
        if ((await metadata.footprint()).rowBytes <= most * REMAINDER) return deleted;
      }
    }
  }
  return deleted;
}

/** Yields how many rows it has deleted, page by page. */
type Pass = (before: number, options: DeletionOptions) => AsyncGenerator<number, void>;

const deleteMembers: Pass = async function* (before, { metadata, mayGo }) {
  const list = (after: NotedMember | undefined) => metadata.listNoted({ after, limit: PAGE });
  for await (const page of pages(list)) {
    const going = await filter(page, async (row) => row.notedAt <= before && (await mayGo(row)));
    for (const [repository, digests] of byRepository(going)) {
      for (let first = 0; first < digests.length; first += PIECE) {
        await metadata.deleteMembers(repository, digests.slice(first, first + PIECE));
        await nextTurn();
      }
    }
    if (going.length > 0) yield going.length;
  }
};

const deleteTags: Pass = async function* (before, { metadata, now, mayGo }) {
  const holds = (await metadata.listHolds()).filter(({ hold }) => !isOver(hold, now));
  // With its record a tag loses its history.
  const held = new Set(holds.map(nameOf));
  const list = (after: TagEntry | undefined) => metadata.listTags({ after, limit: PAGE });
  for await (const page of pages(list)) {
    const going = await filter(page, async (entry) => {
      const { record } = entry;
      return record.checkedAt <= before && !held.has(nameOf(entry)) && (await mayGo(record));
    });
    for (const [index, { repository, tag }] of going.entries()) {
      await metadata.deleteTag(repository, tag);
      if (index % SINGLES === 0) await nextTurn();
    }
    if (going.length > 0) yield going.length;
  }
};

const deleteUrls: Pass = async function* (before, { metadata, mayGo }) {
  const list = (after: UrlEntry | undefined) => metadata.listUrls({ after, limit: PAGE });
  for await (const page of pages(list)) {
    const going = await filter(page, async ({ record }) => record.checkedAt <= before && (await mayGo(record)));
    for (const [index, name] of going.entries()) {
      await metadata.deleteUrl(name);
      if (index % SINGLES === 0) await nextTurn();
    }
    if (going.length > 0) yield going.length;
  }
};

function nameOf({ repository, tag }: Pick<TagEntry, 'repository' | 'tag'>): string {
  return keyOf(repository.registry, repository.repository, tag);
}

async function filter<T>(rows: readonly T[], fits: (row: T) => Promise<boolean>): Promise<readonly T[]> {
  const found: T[] = [];
  for (const row of rows) if (await fits(row)) found.push(row);
  return found;
}

/** Neighbours of one repository together: they are listed in that order. */
function byRepository(members: readonly NotedMember[]): (readonly [Repository, Digest[]])[] {
  const groups: (readonly [Repository, Digest[]])[] = [];
  for (const { repository, digest } of members) {
    const [last, digests] = groups.at(-1) ?? [];
    if (last?.registry === repository.registry && last.repository === repository.repository) digests?.push(digest);
    else groups.push([repository, [digest]]);
  }
  return groups;
}
