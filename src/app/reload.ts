import { existsSync } from 'node:fs';
import { isAbsolute } from 'node:path';
import { type Config, ConfigError, formatProblem, type LoadedConfig, locateProblems } from '../config/index.ts';
import type { RegistrySpec } from '../oci/index.ts';
import type { Catalogue } from '../routing/index.ts';
import type { ConfigReloaded, Telemetry } from '../telemetry/index.ts';
import { planReload } from './reload-plan.ts';
import { SettingsError } from './settings/index.ts';

/** The outcome of a reload. Problems name file, line and option where they are known. */
export type ReloadAnswer = ConfigReloaded;

/** What a {@link Reloader} needs of the server. */
export interface ReloadSteps {
  /** @throws {ConfigError} */
  readonly load: () => Promise<LoadedConfig>;
  readonly running: () => { readonly config: Config; readonly catalogue: Catalogue; readonly source: string };
  /** Takes up a configuration whole, or rejects. Gives the catalogue in effect. */
  readonly apply: (next: Pick<LoadedConfig, 'config' | 'source' | 'settings' | 'layerNotes'>) => Promise<Catalogue>;
  readonly telemetry: Telemetry;
}

/**
 * Reloads the configuration on demand, one reload at a time. Requests for a reload while one runs share the next one, since
 * the running one may have read the file already.
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

  /** Starts no more reloads; resolves when none runs. */
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
    // While the server stops, a refusal is no failure to report.
    if (!this.#isClosed) this.#steps.telemetry.publish('config.reloaded', answer);
    return answer;
  }

  async #reload(): Promise<ReloadAnswer> {
    const { load, running, apply } = this.#steps;
    const before = running();
    let loaded: LoadedConfig | undefined;
    try {
      if (this.#isClosed) throw new Error('the server is stopping');
      loaded = await load();
      const { config, changed, restart } = planReload(before.config, loaded.config);
      const { source, settings } = loaded;
      // Editors truncate a file before they write it: read at that moment, it would remove every registry.
      if (loaded.isBlank && changed.length > 0) {
        throw new Error(`${source}: found nothing in it, expected a configuration, or {} where the defaults are meant`);
      }
      if (source !== before.source && isFileRemoved(before.source)) {
        throw new Error(`${before.source}: the file was removed; put it back, or restart the server without it`);
      }
      const registries = compareRegistries(
        before.catalogue,
        await apply({ config, source, settings, layerNotes: loaded.layerNotes }),
      );
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

/** Whether a source is a file that was removed; the next source that is found was not meant to replace it. */
function isFileRemoved(source: string): boolean {
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

/** Unchanged upstreams are the same objects; a change in a file that they name makes another object. */
function isSame(a: RegistrySpec, b: RegistrySpec): boolean {
  if (a.upstreams.length !== b.upstreams.length || a.upstreams.some((each, at) => each !== b.upstreams[at]))
    return false;
  return JSON.stringify(a) === JSON.stringify(b);
}
