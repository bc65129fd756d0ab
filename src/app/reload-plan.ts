import { isDeepStrictEqual } from 'node:util';
import { type Config, formatKey, optionName } from '../config/index.ts';

/** How a running server takes up another configuration. */
export interface ReloadPlan {
  /** The new configuration, with the running values of the options that need a restart. */
  readonly config: Config;
  /** The options that change: `cache.max_size`, `registries["ghcr.io"]`. */
  readonly changed: readonly string[];
  /** The options that change only after a restart. */
  readonly restart: readonly string[];
}

/** Splits a new configuration into what a running server takes up and what needs a restart. Pure. */
export function planReload(running: Config, wanted: Config): ReloadPlan {
  const { enabled, listen, mitm } = running.forwardProxy;
  const config: Config = {
    ...wanted,
    listen: withAcmeOf(running.listen, wanted.listen),
    tracing: running.tracing,
    admin: withAdminListen(running.admin, wanted.admin),
    cache:
      running.cache === 'off' || wanted.cache === 'off'
        ? running.cache
        : {
            ...wanted.cache,
            dir: running.cache.dir,
            manifestsInMemory: running.cache.manifestsInMemory,
          },
    timeouts: { ...wanted.timeouts, maxHeaderBytes: running.timeouts.maxHeaderBytes },
    forwardProxy: {
      ...wanted.forwardProxy,
      enabled,
      listen: withAcmeOf(listen, wanted.forwardProxy.listen),
      mitm,
    },
  };
  return { config, changed: changedKeys(running, config), restart: changedKeys(config, wanted) };
}

/**
 * The running listeners, with the `acme` of the wanted ones: a certificate for other domains is ordered without a restart. Not
 * where anything else of the listeners changes.
 */
function withAcmeOf<T extends Config['forwardProxy']['listen']>(running: T, wanted: T): T {
  return isDeepStrictEqual(running.map(withoutAcme), wanted.map(withoutAcme)) ? wanted : running;
}

/** Where listeners for the API alone are open or wanted, whether they are open at all needs a restart too. */
function withAdminListen(running: Config['admin'], wanted: Config['admin']): Config['admin'] {
  const isApart = running.listen.length + wanted.listen.length > 0;
  return {
    ...wanted,
    listen: withAcmeOf(running.listen, wanted.listen),
    ...(isApart && { enabled: running.enabled }),
  };
}

function withoutAcme({ tls, ...listener }: Config['forwardProxy']['listen'][number]): object {
  const isOrdered = tls?.acme !== undefined;
  return { ...listener, isOrdered, tls: isOrdered ? undefined : tls };
}

/** The options in which two configurations differ, sorted. A registry counts as one option, and so does a list. */
export function changedKeys(before: unknown, after: unknown, path: readonly string[] = []): readonly string[] {
  if (isDeepStrictEqual(before, after)) return [];
  const isWhole = path[0] === 'registries' && path.length > 1;
  if (isWhole || !isMap(before) || !isMap(after)) return [formatKey(path.map(optionName))];
  const keys = new Set([...Object.keys(before), ...Object.keys(after)]);
  return [...keys].sort().flatMap((key) => changedKeys(before[key], after[key], [...path, key]));
}

function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
