import type { MetadataStore, UrlRecord } from '../../store/index.ts';
import type { Telemetry } from '../../telemetry/index.ts';
import { attempt } from '../attempt.ts';
import type { UrlKey } from './request.ts';

/** The records of URLs. A database that fails costs questions to the upstream, never an answer. */
export class UrlRecords {
  readonly #metadata: MetadataStore;
  readonly #telemetry: Telemetry;

  constructor(metadata: MetadataStore, telemetry: Telemetry) {
    this.#metadata = metadata;
    this.#telemetry = telemetry;
  }

  get(key: UrlKey): Promise<UrlRecord | undefined> {
    return this.#try('Cannot read the record of a URL', () => this.#metadata.getUrl(key));
  }

  async put(key: UrlKey, record: UrlRecord): Promise<void> {
    await this.#try('Cannot write the record of a URL', () => this.#metadata.putUrl(key, record));
  }

  async delete(key: UrlKey): Promise<void> {
    await this.#try('Cannot delete the record of a URL', () => this.#metadata.deleteUrl(key));
  }

  #try<T>(message: string, ask: () => Promise<T>): Promise<T | undefined> {
    return attempt(ask, { telemetry: this.#telemetry, message });
  }
}
