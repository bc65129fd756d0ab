import { keyOf, Lru } from '../../lib/index.ts';
import type { Repository } from '../../oci/index.ts';
import type { MetadataStore, TagMove, TagRecord } from '../../store/index.ts';
import type { Telemetry } from '../../telemetry/index.ts';
import { attempt } from '../attempt.ts';

/** Tags kept in memory, so that a pull of a popular one never waits for the database. */
const REMEMBERED = 10_000;

/** Where upstreams last said that tags point. A database that fails costs questions to the upstream, never a pull. */
export class TagRecords {
  readonly #metadata: MetadataStore;
  readonly #telemetry: Telemetry;
  readonly #known = new Lru<TagRecord>({ maxWeight: REMEMBERED });

  constructor(metadata: MetadataStore, telemetry: Telemetry) {
    this.#metadata = metadata;
    this.#telemetry = telemetry;
  }

  async get(repository: Repository, tag: string): Promise<TagRecord | undefined> {
    const key = keyOf(repository.registry, repository.repository, tag);
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const stored = await attempt(() => this.#metadata.getTag(repository, tag), {
      telemetry: this.#telemetry,
      message: 'Cannot read where a tag points to',
    });
    if (stored !== undefined) this.#known.set(key, stored);
    return stored;
  }

  /** The record that the database has, whatever is in memory. */
  stored(repository: Repository, tag: string): Promise<TagRecord | undefined> {
    return this.#metadata.getTag(repository, tag);
  }

  async put(repository: Repository, tag: string, record: TagRecord): Promise<void> {
    this.#known.set(keyOf(repository.registry, repository.repository, tag), record);
    await attempt(() => this.#metadata.putTag(repository, tag, record), {
      telemetry: this.#telemetry,
      message: 'Cannot note where a tag points to',
    });
  }

  /** Where a tag pointed, newest first. */
  async moves(repository: Repository, tag: string): Promise<readonly TagMove[]> {
    const moves = await attempt(() => this.#metadata.listMoves(repository, tag), {
      telemetry: this.#telemetry,
      message: 'Cannot read where a tag pointed',
    });
    return moves ?? [];
  }

  /** Drops the memory, after something was deleted from the database. */
  forget(): void {
    this.#known.clear();
  }
}
