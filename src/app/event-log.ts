import type { Config } from '../config/index.ts';
import { type Log, logEvents, type Telemetry } from '../telemetry/index.ts';
import { logFormatOf } from './settings/index.ts';

/** The log of events, under the `log` options of the current configuration. */
export class EventLog {
  readonly #telemetry: Telemetry;
  readonly #log: Log;
  #config: Config;
  #unsubscribe: () => void;

  /** @param log already has the level and format of the configuration */
  constructor(config: Config, { telemetry, log }: { readonly telemetry: Telemetry; readonly log: Log }) {
    this.#telemetry = telemetry;
    this.#log = log;
    this.#config = config;
    this.#unsubscribe = this.#subscribe();
  }

  reconfigure(next: Config): void {
    const { level, format } = this.#config.log;
    if (next.log.level !== level) this.#log.setLevel(next.log.level);
    if (next.log.format !== format) this.#log.setFormat(logFormatOf(next));
    this.#config = next;
    this.#unsubscribe();
    this.#unsubscribe = this.#subscribe();
  }

  close(): void {
    this.#unsubscribe();
  }

  #subscribe(): () => void {
    return logEvents(this.#telemetry, this.#log, { access: this.#config.log.access });
  }
}
