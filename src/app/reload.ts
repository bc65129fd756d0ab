import { existsSync } from 'node:fs';
import { isAbsolute } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { type Config, ConfigError, formatProblem, type LoadedConfig, locateProblems } from '../config/index.ts';
import type { RegistrySpec, TransportSpec, UpstreamSpec } from '../oci/index.ts';
import type { ConfigReloaded, Telemetry } from '../telemetry/index.ts';
import { planReload } from './reload-plan.ts';
import { SettingsError } from './settings/index.ts';
import type { UpstreamSet } from './upstream-set.ts';

/** What a {@link Reloader} needs of the server. */
export interface ReloadSteps {
  /** @throws {ConfigError} */
  readonly load: () => Promise<LoadedConfig>;
  readonly running: () => { readonly config: Config; readonly upstreams: Compared; readonly source: string };
  /** Takes up a configuration whole, or rejects. Gives the upstreams in effect. */
  readonly apply: (next: Pick<LoadedConfig, 'config' | 'source' | 'settings' | 'layerNotes'>) => Promise<Compared>;
  readonly telemetry: Telemetry;
}

/** What a reload compares. */
type Compared = Pick<UpstreamSet, 'catalogue' | 'transport'>;

/**
 * Reloads the configuration on demand, one reload at a time. Requests for a reload while one runs share the next one, since
 * the running one may have read the file already.
 */
export class Reloader {
  readonly #steps: ReloadSteps;
  #running: Promise<ConfigReloaded> | undefined;
  #next: Promise<ConfigReloaded> | undefined;
  #isClosed = false;
  #waiting: readonly string[] = [];

  constructor(steps: ReloadSteps) {
    this.#steps = steps;
  }

  /** The options that the last valid configuration changes, and that wait for a restart: `admin.listen`. */
  get waiting(): readonly string[] {
    return this.#waiting;
  }

  reload(): Promise<ConfigReloaded> {
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

  #start(): Promise<ConfigReloaded> {
    this.#running = this.#run().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  async #run(): Promise<ConfigReloaded> {
    const answer = await this.#reload();
    // While the server stops, a refusal is no failure to report.
    if (!this.#isClosed) this.#steps.telemetry.publish('config.reloaded', answer);
    return answer;
  }

  async #reload(): Promise<ConfigReloaded> {
    const { load, running, apply } = this.#steps;
    const before = running();
    let loaded: LoadedConfig | undefined;
    try {
      if (this.#isClosed) throw new Error('the server is stopping');
      loaded = await load();
      const { config, restart, ...plan } = planReload(before.config, loaded.config);
      const changed = [...plan.changed];
      const { source, settings } = loaded;
      // Editors truncate a file before they write it: read at that moment, it would remove every registry.
      if (loaded.isBlank && changed.length > 0) {
        throw new Error(`${source}: found nothing in it, expected a configuration, or {} where the defaults are meant`);
      }
      if (source !== before.source && isFileRemoved(before.source)) {
        throw new Error(`${before.source}: the file was removed; put it back, or restart the server without it`);
      }
      const upstreams = await apply({ config, source, settings, layerNotes: loaded.layerNotes });
      this.#waiting = restart;
      const registries = compareRegistries(before.upstreams, upstreams);
      const isOtherTransport = before.upstreams.transport !== upstreams.transport;
      // The same options, but another file behind one of them.
      if (isOtherTransport && !changed.some((option) => option.startsWith('transport.')))
        changed.push('transport.ca_file');
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

function compareRegistries(before: Compared, after: Compared): ConfigReloaded['registries'] {
  const old = byName(before);
  const now = byName(after);
  const isSame = (a: RegistrySpec, b: RegistrySpec): boolean => {
    const isSameUpstream = (each: UpstreamSpec, at: number): boolean => {
      const other = b.upstreams[at];
      // Unchanged upstreams are the same objects; a change in a file that they name makes another object.
      if (each === other || other === undefined || before.transport === after.transport) return each === other;
      return isDeepStrictEqual(ownSettings(each, before.transport), ownSettings(other, after.transport));
    };
    if (a.upstreams.length !== b.upstreams.length || !a.upstreams.every(isSameUpstream)) return false;
    return isDeepStrictEqual({ ...a, upstreams: [] }, { ...b, upstreams: [] });
  };
  return {
    added: [...now.keys()].filter((name) => !old.has(name)),
    removed: [...old.keys()].filter((name) => !now.has(name)),
    changed: [...old].filter(([name, spec]) => !isSame(spec, now.get(name) ?? spec)).map(([name]) => name),
  };
}

function byName({ catalogue }: Compared): ReadonlyMap<string, RegistrySpec> {
  return new Map(catalogue.list().map((spec) => [spec.name, spec]));
}

/** An upstream without what it has of the common transport: a change of that is reported once, and not for each registry. */
function ownSettings({ transport, ...upstream }: UpstreamSpec, common: TransportSpec): unknown {
  const shared = new Map<string, unknown>(Object.entries(common));
  const own = Object.values(transport).map((each) =>
    Object.entries(each).filter(([name, value]) => !isDeepStrictEqual(value, shared.get(name))),
  );
  return { ...upstream, own };
}
