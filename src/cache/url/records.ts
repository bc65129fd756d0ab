import type { NameStore, UrlRecord } from '../../store/index.ts';
import type { Telemetry } from '../../telemetry/index.ts';
import type { UrlKey } from './request.ts';

/** What was kept by URL. A database that fails costs questions to the upstream, never an answer. */
export class UrlRecords {
  readonly #names: NameStore;
  readonly #telemetry: Telemetry;

  constructor(names: NameStore, telemetry: Telemetry) {
    this.#names = names;
    this.#telemetry = telemetry;
  }

  get(key: UrlKey): Promise<UrlRecord | undefined> {
    return this.#try('Cannot read what was kept of a URL', () => this.#names.getUrl(key));
  }

  async put(key: UrlKey, record: UrlRecord): Promise<void> {
    await this.#try('Cannot note what was kept of a URL', () => this.#names.putUrl(key, record));
  }

  async delete(key: UrlKey): Promise<void> {
    await this.#try('Cannot forget what was kept of a URL', () => this.#names.deleteUrl(key));
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
