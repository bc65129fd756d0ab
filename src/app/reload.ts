import { existsSync } from 'node:fs';
import { isAbsolute } from 'node:path';
import { type Config, ConfigError, formatProblem, type LoadedConfig, locateProblems } from '../config/index.ts';
import type { RegistrySpec } from '../oci/index.ts';
import type { Catalogue } from '../routing/index.ts';
import type { ConfigReloaded, Log, Telemetry } from '../telemetry/index.ts';
import { planReload } from './reload-plan.ts';
import { SettingsError } from './settings/index.ts';

/** What became of a reload; each problem of a refused one has file, line and option where it has them. */
export type ReloadAnswer = ConfigReloaded;

/** What is done to take up a configuration. */
export interface ReloadSteps {
  /** @throws {ConfigError} */
  readonly load: () => Promise<LoadedConfig>;
  readonly running: () => { readonly config: Config; readonly catalogue: Catalogue; readonly source: string };
  /** Everything that can fail, then everything that cannot. Gives the catalogue in effect. */
  readonly apply: (next: Pick<LoadedConfig, 'config' | 'source'>) => Promise<Catalogue>;
  readonly log: Log;
  readonly telemetry: Telemetry;
}

/**
 * Takes up the configuration anew, whenever it is told to: one time after the other. Whoever asks while one runs shares the
 * next with all who ask meanwhile, since the one that runs may have read the file already.
 */
export class Reloader {
  readonly #steps: ReloadSteps;
  #running: Promise<ReloadAnswer> | undefined;
  #next: Promise<ReloadAnswer> | undefined;
  #isClosed = false;

  constructor(steps: ReloadSteps) {
    this.#steps = steps;
  }

  reload(): Promise<ReloadAnswer> {
    if (this.#running === undefined) return this.#next ?? this.#start();
    this.#next ??= this.#running.then(() => {
      this.#next = undefined;
      return this.#start();
    });
    return this.#next;
  }

  /** Begins none any more; resolves when none runs. */
  async close(): Promise<void> {
    this.#isClosed = true;
    while (this.#running !== undefined) await (this.#next ?? this.#running);
  }

  #start(): Promise<ReloadAnswer> {
    this.#running = this.#run().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  async #run(): Promise<ReloadAnswer> {
    const answer = await this.#reload();
    // That a server about to stop takes up nothing more is no failure.
    if (!this.#isClosed) this.#steps.telemetry.publish('config.reloaded', answer);
    return answer;
  }

  async #reload(): Promise<ReloadAnswer> {
    const { load, running, apply, log } = this.#steps;
    const before = running();
    let loaded: LoadedConfig | undefined;
    try {
      if (this.#isClosed) throw new Error('the server is stopping');
      loaded = await load();
      for (const note of loaded.notes) log.warn(note);
      const { config, changed, restart } = planReload(before.config, loaded.config);
      const { source } = loaded;
      // Whoever writes a file empties it first, and would lose every registry if it was read at that moment.
      if (loaded.isBlank && changed.length > 0) {
        throw new Error(`${source}: found nothing in it, expected a configuration, or {} where the defaults are meant`);
      }
      if (source !== before.source && isGone(before.source)) {
        throw new Error(`${before.source}: it is not there any more; put it back, or start the server anew without it`);
      }
      const registries = compareRegistries(before.catalogue, await apply({ config, source }));
      const isSame = changed.length + Object.values(registries).flat().length === 0;
      return { outcome: isSame ? 'unchanged' : 'changed', source, changed, registries, restart, problems: [] };
    } catch (error) {
      const registries = { added: [], removed: [], changed: [] };
      const source = loaded?.source ?? before.source;
      const problems = problemsOf(error, loaded);
      return { outcome: 'refused', source, changed: [], registries, restart: [], problems };
    }
  }
}

/** Whether a source is a file that has gone; what is found in its stead was never meant to take its place. */
function isGone(source: string): boolean {
  return isAbsolute(source) && !existsSync(source);
}

function problemsOf(error: unknown, loaded: LoadedConfig | undefined): readonly string[] {
  const located =
    error instanceof SettingsError && loaded !== undefined ? locateProblems(loaded, error.problems) : error;
  if (located instanceof ConfigError) return located.problems.map(formatProblem);
  return [error instanceof Error ? error.message : String(error)];
}

function compareRegistries(before: Catalogue, after: Catalogue): ReloadAnswer['registries'] {
  const old = byName(before);
  const now = byName(after);
  return {
    added: [...now.keys()].filter((name) => !old.has(name)),
    removed: [...old.keys()].filter((name) => !now.has(name)),
    changed: [...old].filter(([name, spec]) => !isSame(spec, now.get(name) ?? spec)).map(([name]) => name),
  };
}

function byName(catalogue: Catalogue): ReadonlyMap<string, RegistrySpec> {
  return new Map(catalogue.list().map((spec) => [spec.name, spec]));
}

/** Upstreams that are the same are the same objects, the files they name included. */
function isSame(a: RegistrySpec, b: RegistrySpec): boolean {
  if (a.upstreams.length !== b.upstreams.length || a.upstreams.some((each, at) => each !== b.upstreams[at]))
    return false;
  return JSON.stringify(a) === JSON.stringify(b);
}
