import { keyOf, Lru } from '../../lib/index.ts';
import type { Repository } from '../../oci/index.ts';
import type { MetadataStore, TagRecord } from '../../store/index.ts';
import type { Telemetry } from '../../telemetry/index.ts';

/** Tags kept in memory, so that a pull of a popular one never waits for the database. */
const REMEMBERED = 10_000;

/** Where tags point to, by the upstream's last word. A database that fails costs questions to the upstream, never a pull. */
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
    try {
      const stored = await this.#metadata.getTag(repository, tag);
      if (stored !== undefined) this.#known.set(key, stored);
      return stored;
    } catch (error) {
      this.#telemetry.publish('warning', { message: 'Cannot read where a tag points to', error });
      return undefined;
    }
  }

  async put(repository: Repository, tag: string, record: TagRecord): Promise<void> {
    this.#known.set(keyOf(repository.registry, repository.repository, tag), record);
    try {
      await this.#metadata.putTag(repository, tag, record);
    } catch (error) {
      this.#telemetry.publish('warning', { message: 'Cannot note where a tag points to', error });
    }
  }

  /** Forgets what is remembered of the database, after something was taken out of it. */
  forget(): void {
    this.#known.clear();
  }
}
