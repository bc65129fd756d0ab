import { hostname, networkInterfaces } from 'node:os';
import type { OwnHosts } from '../../api/index.ts';
import type { PullThroughOptions } from '../../cache/index.ts';
import type { Config } from '../../config/index.ts';
import type { Catalogue } from '../../routing/index.ts';
import { compileTrustedProxies, type FrontDoorOptions, type OwnNames } from '../../server/index.ts';
import { freeSpace } from '../../store/index.ts';
import type { LogFormat, MetricsOptions } from '../../telemetry/index.ts';
import { type ListenerTls, listenerFilesOf } from './listener-tls.ts';
import { tagPatternsOf } from './notes.ts';
import { splitOf } from './split.ts';

/** `auto` is resolved: for people on a terminal, JSON elsewhere. */
export function logFormatOf({ log: { format } }: Config): LogFormat {
  if (format !== 'auto') return format;
  return process.stdout.isTTY ? 'console' : 'json';
}

/** The names under which the server may send clients to itself. */
export function ownNamesOf({ publicUrl: publicUrls, domainSuffix }: Config): OwnNames {
  return { publicUrls, domainSuffix };
}

/** How the API may be addressed: by what operators have named, and by the name of the machine. */
export function ownHostsOf({
  publicUrl: origins,
  domainSuffix: suffix,
  listen,
  forwardProxy,
  admin,
}: Config): OwnHosts {
  const machine = hostname().toLowerCase();
  const [short = machine] = machine.split('.', 1);
  const listeners = [...listen, ...forwardProxy.listen, ...admin.listen];
  const ordered = listeners.flatMap(({ tls }) => tls?.acme?.domains ?? []);
  const named = listeners.flatMap(({ address }) =>
    'host' in address && address.host !== undefined ? [address.host] : [],
  );
  const names = [...origins.map((url) => new URL(url).hostname), ...ordered, ...named, machine, short];
  return { names: new Set(names.map((name) => name.toLowerCase())), suffix, origins };
}

/** The hosts that clients write in front of images: of `public_url`, `domain_suffix` and each listener, with its port. */
export function imageHostsOf(config: Config): ReadonlySet<string> {
  const { publicUrl: origins, domainSuffix: suffix, listen } = config;
  const hosts = new Set(origins.map((url) => new URL(url).host.toLowerCase()));
  if (suffix !== undefined) hosts.add(suffix);
  const { names } = ownHostsOf(config);
  for (const { address } of listen) {
    if (!('port' in address)) continue;
    const { host, port } = address;
    const reached = host === undefined || host === '0.0.0.0' || host === '::' ? addressesOfMachine() : [host];
    for (const name of [...names, ...reached, ...(suffix === undefined ? [] : [suffix]), 'localhost']) {
      hosts.add(`${name}:${port}`);
      // The ports that names of images leave out.
      if (port === 443 || port === 80) hosts.add(name);
    }
  }
  return hosts;
}

function addressesOfMachine(): readonly string[] {
  return Object.values(networkInterfaces())
    .flatMap((each) => each ?? [])
    .map(({ address }) => address);
}

/** The policy of the cache. */
export function cacheOptionsOf(
  config: Pick<Config, 'cache' | 'transfer' | 'transport'>,
  catalogue: Catalogue,
): Omit<PullThroughOptions, 'origin' | 'store' | 'metadata' | 'telemetry' | 'now'> {
  const { cache } = config;
  if (cache === 'off') return { keep: false };
  const disk = () => freeSpace(cache.dir);
  return { ...cache, ...tagPatternsOf(cache, catalogue), splitOf: splitOf(config, catalogue), keep: true, disk };
}

/** What `/metrics` reads of the disk; nothing with `cache: off`. */
export function diskReadingOf({ cache }: Config): Pick<MetricsOptions, 'disk'> {
  return cache === 'off' ? {} : { disk: () => freeSpace(cache.dir) };
}

/** The listeners of the server, of its forward proxy and of its admin API, with their time limits and bounds. */
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
  const { admin } = config;
  return {
    listeners: [
      ...shared,
      ...(enabled ? own : []).map((listener) => ({ ...withFiles(listener), forward: true })),
      ...(admin.enabled ? admin.listen : []).map((listener) => ({ ...withFiles(listener), admin: true })),
    ],
    publicUrls,
    trustedProxies: trustedProxies.length === 0 ? undefined : compileTrustedProxies(trustedProxies),
    timeouts,
    limits: { maxHeaderBytes: timeouts.maxHeaderBytes, maxConnections: config.limits.maxConnections },
  };
}
