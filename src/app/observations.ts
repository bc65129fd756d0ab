import { stat } from 'node:fs/promises';
import type { Recorder } from '../access/index.ts';
import type { Config } from '../config/index.ts';
import {
  MemoryObservationStore,
  type ObservationStore,
  observationFile,
  openObservationStore,
} from '../store/index.ts';
import type { Telemetry } from '../telemetry/index.ts';
import { loadGuard } from './settings/index.ts';

interface ObservationsContext {
  readonly telemetry: Telemetry;
  /** Takes what closes them again. */
  readonly cleanups: (() => unknown)[];
}

/** The observed requests of this process, from its first configuration with rules on. */
export class Observations {
  readonly #cache: Config['cache'];
  readonly #telemetry: Telemetry;
  #recorder: Promise<Recorder> | undefined;

  /** @param config its cache directory is that of the process */
  constructor({ cache }: Pick<Config, 'cache'>, { telemetry, cleanups }: ObservationsContext) {
    this.#cache = cache;
    this.#telemetry = telemetry;
    cleanups.push(async () => (await this.#recorder)?.close());
  }

  /** Undefined until they begin. */
  get recorder(): Promise<Recorder> | undefined {
    return this.#recorder;
  }

  /** Observes from now on. Never rejects: what cannot be written is kept in memory. */
  async begin(): Promise<void> {
    this.#recorder ??= this.#open();
    await this.#recorder;
  }

  async #open(): Promise<Recorder> {
    const { Recorder } = await loadGuard();
    return new Recorder({ store: await this.#openStore(), telemetry: this.#telemetry });
  }

  async #openStore(): Promise<ObservationStore> {
    if (this.#cache === 'off') return new MemoryObservationStore();
    const onDamage = (message: string): void => this.#telemetry.publish('warning', { message });
    try {
      return await openObservationStore(observationFile(this.#cache.dir), { onDamage });
    } catch (error) {
      const message = 'Cannot open the observed requests: they are kept in memory, and lost at the next stop';
      this.#telemetry.publish('warning', { message, error });
      return new MemoryObservationStore();
    }
  }
}

/**
 * Opens the observed requests of a cache directory without a server; undefined where there are none. The caller owns the
 * directory.
 */
export async function openOwnObservations(
  directory: string,
  onDamage: (message: string) => void,
): Promise<ObservationStore | undefined> {
  const file = observationFile(directory);
  const found = await stat(file).catch(() => undefined);
  return found === undefined ? undefined : await openObservationStore(file, { onDamage });
}
