import type { MetadataStore, UrlRecord } from '../../store/index.ts';
import type { Telemetry } from '../../telemetry/index.ts';
import type { UrlKey } from './request.ts';

/** What was kept by URL. A database that fails costs questions to the upstream, never an answer. */
export class UrlRecords {
  readonly #metadata: MetadataStore;
  readonly #telemetry: Telemetry;

  constructor(metadata: MetadataStore, telemetry: Telemetry) {
    this.#metadata = metadata;
    this.#telemetry = telemetry;
  }

  get(key: UrlKey): Promise<UrlRecord | undefined> {
    return this.#try('Cannot read what was kept of a URL', () => this.#metadata.getUrl(key));
  }

  async put(key: UrlKey, record: UrlRecord): Promise<void> {
    await this.#try('Cannot note what was kept of a URL', () => this.#metadata.putUrl(key, record));
  }

  async delete(key: UrlKey): Promise<void> {
    await this.#try('Cannot forget what was kept of a URL', () => this.#metadata.deleteUrl(key));
  }

  async #try<T>(message: string, ask: () => Promise<T>): Promise<T | undefined> {
    try {
      return await ask();
    } catch (error) {
      this.#telemetry.publish('warning', { message, error });
      return undefined;
    }
  }
}
