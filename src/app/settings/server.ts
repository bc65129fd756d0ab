import type { PullThroughOptions } from '../../cache/index.ts';
import type { Config } from '../../config/index.ts';
import type { Catalogue } from '../../routing/index.ts';
import { compileTrustedProxies, type FrontDoorOptions, type OwnNames } from '../../server/index.ts';
import { freeSpace } from '../../store/index.ts';
import type { LogFormat, MetricsOptions } from '../../telemetry/index.ts';
import { type ListenerTls, listenerFilesOf } from './listener-tls.ts';
import { tagPatternsOf } from './notes.ts';

/** `auto` is resolved: for people on a terminal, JSON elsewhere. */
export function logFormatOf({ log: { format } }: Config): LogFormat {
  if (format !== 'auto') return format;
  return process.stdout.isTTY ? 'console' : 'json';
}

/** The names under which the server may send clients to itself. */
export function ownNamesOf({ publicUrl: publicUrls, domainSuffix }: Config): OwnNames {
  return { publicUrls, domainSuffix };
}

/** The policy of the cache. */
export function cacheOptionsOf(
  { cache }: Config,
  catalogue: Catalogue,
): Omit<PullThroughOptions, 'origin' | 'store' | 'metadata' | 'telemetry' | 'now'> {
  if (cache === 'off') return { keep: false };
  return { ...cache, ...tagPatternsOf(cache, catalogue), keep: true, disk: () => freeSpace(cache.dir) };
}

/** What `/metrics` reads of the disk; nothing with `cache: off`. */
export function diskReadingOf({ cache }: Config): Pick<MetricsOptions, 'disk'> {
  return cache === 'off' ? {} : { disk: () => freeSpace(cache.dir) };
}

/** The listeners of the server and of its forward proxy, with their time limits and bounds. */
export function frontDoorOptionsOf(config: Config): Omit<FrontDoorOptions, 'handler' | 'onWarning'> {
  const { timeouts, publicUrl: publicUrls, trustedProxies } = config;
  const { enabled, listen: own } = config.forwardProxy;
  const withFiles = <T extends { readonly tls?: ListenerTls }>({ tls, ...listener }: T) => ({
    ...listener,
    ...(tls === undefined ? {} : { tls: listenerFilesOf(config, tls) }),
  });
  const shared = config.listen.map((listener) => ({
    ...withFiles(listener),
    forward: enabled && own.length === 0 && !listener.redirectToHttps,
  }));
  return {
    listeners: [...shared, ...(enabled ? own : []).map((listener) => ({ ...withFiles(listener), forward: true }))],
    publicUrls,
    trustedProxies: trustedProxies.length === 0 ? undefined : compileTrustedProxies(trustedProxies),
    timeouts,
    limits: { maxHeaderBytes: timeouts.maxHeaderBytes, maxConnections: config.limits.maxConnections },
  };
}
