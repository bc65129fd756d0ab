import { type Config, formatKey } from '../config/index.ts';
import { Telemetry } from '../telemetry/index.ts';
import type { PluginTrial, SupervisedPlugin } from '../upstream/index.ts';
import { loadUpstream, SettingsError } from './settings/index.ts';

/** Routing plugins by their files. */
export type Plugins = ReadonlyMap<string, SupervisedPlugin>;

/**
 * Loads the routing plugins of a configuration, each file once. Without one it loads nothing. Close them after use.
 *
 * @throws {SettingsError} where a file or its code cannot be used; then none is left open
 */
export async function openPlugins({ registries }: Config, telemetry: Telemetry): Promise<Plugins> {
  const options = new Map<string, string>();
  for (const [name, { strategy }] of Object.entries(registries)) {
    const file = typeof strategy === 'object' ? strategy.plugin : undefined;
    if (file !== undefined && !options.has(file))
      options.set(file, formatKey(['registries', name, 'strategy', 'plugin']));
  }
  if (options.size === 0) return new Map();
  const { openRoutingPlugin } = await loadUpstream();
  const opened = await Promise.all(
    [...options].map(async ([file, option]) => {
      const { plugin, fault } = await openRoutingPlugin(file, { telemetry, now: Date.now });
      return { file, plugin, problem: fault === undefined ? undefined : `${option}: ${fault}` };
    }),
  );
  const plugins = new Map(
    opened.flatMap(({ file, plugin }) => (plugin === undefined ? [] : [[file, plugin] as const])),
  );
  const problems = opened.flatMap(({ problem }) => problem ?? []);
  if (problems.length === 0) return plugins;
  closePlugins(plugins);
  throw new SettingsError(problems);
}

export function closePlugins(plugins: Plugins): void {
  for (const plugin of plugins.values()) plugin.close();
}

/** Checks that the routing plugins of a configuration can be loaded. @throws {SettingsError} */
export async function checkPlugins(config: Config): Promise<void> {
  closePlugins(await openPlugins(config, new Telemetry()));
}

/** What a routing plugin does in every situation. @param options.names of upstreams, two at least */
export async function testPlugin(
  file: string,
  options: { readonly names?: readonly string[]; readonly prints?: boolean },
): Promise<readonly PluginTrial[]> {
  const { tryPlugin } = await loadUpstream();
  return tryPlugin(file, options);
}
