import { keyOf } from '../../lib/index.ts';
import type { Repository } from '../../oci/index.ts';
import type { MetadataStore, PinEntry } from '../../store/index.ts';
import type { Telemetry } from '../../telemetry/index.ts';
import { attempt } from '../attempt.ts';

interface TagPinsOptions {
  readonly metadata: Pick<MetadataStore, 'putPin' | 'deletePin' | 'listPins'>;
  readonly telemetry: Telemetry;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/** What became of a pin. */
export type PinOutcome = 'pinned' | 'pinned already' | 'too many';

/**
 * The tags whose images operators want kept. They are in the metadata database, where eviction finds them; those that this
 * process has read or changed are in memory too, for a database that replaces a damaged one.
 */
export class TagPins {
  readonly #options: TagPinsOptions;
  #known: Map<string, PinEntry> | undefined;

  constructor(options: TagPinsOptions) {
    this.#options = options;
  }

  /** Every pin, in a stable order. Rejects where the database cannot be read. */
  async list(): Promise<readonly PinEntry[]> {
    const entries = await this.#options.metadata.listPins();
    // What is known already is newer than the backup of a database that was just replaced.
    this.#known ??= new Map(entries.map((each) => [keyOfEntry(each), each]));
    return entries;
  }

  /** Pins a tag. Rejects where the database refuses it: a pin that a restart would lose is none. */
  async put(repository: Repository, tag: string): Promise<PinOutcome> {
    if (this.#known === undefined) await this.list();
    const pin = { pinnedAt: this.#options.now() };
    const entry = { repository, tag, pin };
    if (this.#known?.has(keyOfEntry(entry)) === true) return 'pinned already';
    if (!(await this.#options.metadata.putPin(repository, tag, pin))) return 'too many';
    this.#known?.set(keyOfEntry(entry), entry);
    this.#options.telemetry.publish('tag.pinned', { ...repository, tag });
    return 'pinned';
  }

  /** Ends a pin; false where the tag is not pinned. Rejects where the database refuses it. */
  async end(repository: Repository, tag: string): Promise<boolean> {
    const ended = await this.#options.metadata.deletePin(repository, tag);
    this.#known?.delete(keyOfEntry({ repository, tag }));
    if (ended) this.#options.telemetry.publish('tag.unpinned', { ...repository, tag });
    return ended;
  }

  /** Writes the pins into a database that replaced a damaged one: its backup may be older than they are. Never rejects. */
  async restore(): Promise<void> {
    const known = this.#known;
    if (known === undefined) return;
    const { metadata, telemetry } = this.#options;
    await attempt(
      async () => {
        for (const entry of await metadata.listPins()) {
          if (!known.has(keyOfEntry(entry))) await metadata.deletePin(entry.repository, entry.tag);
        }
        for (const { repository, tag, pin } of known.values()) await metadata.putPin(repository, tag, pin);
      },
      { telemetry, message: 'Cannot write the pinned tags into the recovered metadata database' },
    );
  }
}

function keyOfEntry({ repository, tag }: Pick<PinEntry, 'repository' | 'tag'>): string {
  return keyOf(repository.registry, repository.repository, tag);
}
