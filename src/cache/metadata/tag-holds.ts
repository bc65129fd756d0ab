import { keyOf } from '../../lib/index.ts';
import type { Repository } from '../../oci/index.ts';
import type { HoldEntry, MetadataStore, TagHold } from '../../store/index.ts';
import type { Telemetry } from '../../telemetry/index.ts';
import { attempt } from '../attempt.ts';

interface TagHoldsOptions {
  readonly metadata: Pick<MetadataStore, 'putHold' | 'deleteHold' | 'listHolds'>;
  readonly telemetry: Telemetry;
  readonly now: () => number;
}

/**
 * The tags that are kept at a digest. All of them are in memory, so that a request for any other tag costs a look-up and no
 * read of the database.
 */
export class TagHolds {
  readonly #options: TagHoldsOptions;
  #loading: Promise<Map<string, HoldEntry> | undefined> | undefined;

  constructor(options: TagHoldsOptions) {
    this.#options = options;
  }

  /** The hold of a tag; undefined where there is none, or its end has passed. */
  async get(repository: Repository, tag: string): Promise<TagHold | undefined> {
    const entries = await this.#entries();
    if (entries === undefined || entries.size === 0) return undefined;
    const entry = entries.get(keyOf(repository.registry, repository.repository, tag));
    return entry === undefined || (await this.#isOver(entry)) ? undefined : entry.hold;
  }

  /** The holds that have not ended. */
  async list(): Promise<readonly HoldEntry[]> {
    const current: HoldEntry[] = [];
    for (const entry of (await this.#entries())?.values() ?? []) {
      if (!(await this.#isOver(entry))) current.push(entry);
    }
    return current;
  }

  /**
   * Holds a tag, or replaces its hold. False where too many are held. Rejects where the database refuses it: a hold that a
   * restart would lose is none.
   */
  async put({ repository, tag, hold }: HoldEntry): Promise<boolean> {
    const { metadata, telemetry } = this.#options;
    const entries = await this.#entries();
    if (!(await metadata.putHold(repository, tag, hold))) return false;
    const { digest, until, reason } = hold;
    entries?.set(keyOf(repository.registry, repository.repository, tag), { repository, tag, hold });
    telemetry.publish('tag.held', { ...repository, tag, digest, until, reason });
    return true;
  }

  /** Ends a hold, and gives it back; undefined where there is none. Rejects where the database refuses it. */
  async end(repository: Repository, tag: string): Promise<TagHold | undefined> {
    const hold = await this.get(repository, tag);
    if (hold === undefined) return undefined;
    await this.#options.metadata.deleteHold(repository, tag);
    (await this.#entries())?.delete(keyOf(repository.registry, repository.repository, tag));
    this.#publishEnd({ repository, tag, hold }, 'unhold');
    return hold;
  }

  /**
   * Writes the holds into a database that replaced a damaged one: its backup may be older than they are. Never rejects.
   */
  async restore(): Promise<void> {
    const { metadata, telemetry } = this.#options;
    const entries = await this.#entries();
    await attempt(
      async () => {
        for (const { repository, tag } of await metadata.listHolds()) {
          const isHeld = entries?.has(keyOf(repository.registry, repository.repository, tag)) ?? true;
          if (!isHeld) await metadata.deleteHold(repository, tag);
        }
        for (const { repository, tag, hold } of entries?.values() ?? []) await metadata.putHold(repository, tag, hold);
      },
      { telemetry, message: 'Cannot write the held tags into the recovered metadata database' },
    );
  }

  /** Undefined where the database cannot be read: the next request tries again, and this one goes on without holds. */
  async #entries(): Promise<Map<string, HoldEntry> | undefined> {
    this.#loading ??= this.#load();
    const entries = await this.#loading;
    if (entries === undefined) this.#loading = undefined;
    return entries;
  }

  #load(): Promise<Map<string, HoldEntry> | undefined> {
    const { metadata, telemetry } = this.#options;
    const read = async (): Promise<Map<string, HoldEntry>> => {
      const entries = await metadata.listHolds();
      return new Map(
        entries.map((each) => [keyOf(each.repository.registry, each.repository.repository, each.tag), each]),
      );
    };
    return attempt(read, { telemetry, message: 'Cannot read which tags are held' });
  }

  /** Deletes a hold whose end has passed. */
  async #isOver(entry: HoldEntry): Promise<boolean> {
    const { metadata, telemetry, now } = this.#options;
    if (!isOver(entry.hold, now())) return false;
    const { repository, tag } = entry;
    // Of the requests that find it ended at once, one deletes it.
    const entries = await this.#entries();
    if (entries?.delete(keyOf(repository.registry, repository.repository, tag)) === true) {
      this.#publishEnd(entry, 'expired');
      await attempt(() => metadata.deleteHold(repository, tag), { telemetry, message: 'Cannot end the hold of a tag' });
    }
    return true;
  }

  #publishEnd({ repository, tag, hold }: HoldEntry, cause: 'unhold' | 'expired'): void {
    this.#options.telemetry.publish('tag.unheld', { ...repository, tag, digest: hold.digest, cause });
  }
}

/** Whether the end of a hold has passed. @param now milliseconds since the epoch */
export function isOver({ until }: Pick<TagHold, 'until'>, now: number): boolean {
  return until !== undefined && until <= now;
}
