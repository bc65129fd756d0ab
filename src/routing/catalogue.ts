import { compileGlob, Lru } from '../lib/index.ts';
import type { ConfiguredRegistry, ConfiguredUpstream, RegistrySpec, UpstreamSpec } from '../oci/index.ts';
import { canonicalHost, isPublicHost, looksLikeRegistry, withoutPort } from './host.ts';
import { knownRegistryByHost, knownRegistryByPattern, registryAt } from './known-registries.ts';
import { specOfKnown } from './upstream-options.ts';

/**
 * Every registry that can be named, each found in constant time. It is closed: a name resolves to a configured or known
 * registry, a region of `*.pkg.dev`, or, only with `allow_any`, a public host.
 *
 * A registry made on demand may be evicted and made again: refer to it by its name, not by its object.
 */
export interface Catalogue {
  /** The registry of names without one. */
  readonly default: RegistrySpec;
  /** The domain whose subdomains name registries; lower case, without a leading dot. */
  readonly domainSuffix: string | undefined;
  /** Hosts under which clients reach this server, with their port where they name one; in canonical form. */
  readonly ownHosts: ReadonlySet<string>;
  /** For `?ns=`: a registry's host, with its port, or a name of the operator's own without a dot. */
  byName(name: string): RegistrySpec | undefined;
  /** For the Host header, where DNS points a registry's own name to this server; ignores `allow_any`. */
  byHost(host: string): RegistrySpec | undefined;
  /** For the word before `/v2/` or before the domain suffix: a short name, or a host as in {@link byHost}. */
  byAlias(alias: string): RegistrySpec | undefined;
  /** For the first component of a repository's name: the same names as in `?ns=`. */
  byPathName(component: string): RegistrySpec | undefined;
  /** All configured and known registries, without those made on demand. */
  list(): readonly RegistrySpec[];
}

/** Permission to name any public host. */
export interface AllowAny {
  /** Patterns of refused hosts, with `*`. Matched against the host, host and port, and the registry's name. */
  readonly deny: readonly string[];
}

/** The content of a catalogue, without conflicts. */
interface CatalogueContent {
  /** A name. */
  readonly default: string;
  readonly domainSuffix: string | undefined;
  readonly ownHosts: ReadonlySet<string>;
  readonly registries: readonly ConfiguredRegistry[];
  /** Whether the hosts of known patterns (`*.pkg.dev`) are registries. */
  readonly knownRegistries: boolean;
  readonly allowAny: AllowAny | undefined;
  readonly complete: CompleteUpstream;
}

/**
 * Adds how an upstream is connected to. It may return the object of an earlier catalogue for an equal upstream: tokens,
 * health and connections are kept per object, so they survive a reload.
 */
export type CompleteUpstream = (registry: string, upstream: ConfiguredUpstream) => UpstreamSpec;

/** Bound for registries made on demand, since clients choose their names. */
const MAX_ON_DEMAND = 256;

/** Builds the lookups. */
export function createCatalogue(content: CatalogueContent): Catalogue {
  const registries = content.registries.map(completed);
  const byDefault = registries.find(({ name }) => name === content.default);
  if (byDefault === undefined) throw new Error(`the default registry ${content.default} is missing from the catalogue`);
  const hosts = new Map<string, RegistrySpec>();
  const words = new Map<string, RegistrySpec>();
  const pathNames = new Map<string, RegistrySpec>();
  for (const registry of registries) {
    for (const name of [registry.name, ...registry.hosts, ...registry.aliases]) {
      (looksLikeRegistry(name) ? hosts : words).set(name, registry);
    }
    for (const name of registry.pathNames) pathNames.set(name, registry);
  }
  const onDemand = new Lru<RegistrySpec>({ maxWeight: MAX_ON_DEMAND });
  const denied = (content.allowAny?.deny ?? []).map((pattern) => compileGlob(canonicalPattern(pattern)));

  function completed({ upstreams, ...registry }: ConfiguredRegistry): RegistrySpec {
    return { ...registry, upstreams: upstreams.map((upstream) => content.complete(registry.name, upstream)) };
  }

  function remembered(host: string, make: () => ConfiguredRegistry): RegistrySpec {
    const found = onDemand.get(host);
    if (found !== undefined) return found;
    const made = make();
    // A client chose (part of) this host, so it must not resolve to a private address.
    const upstreams = made.upstreams.map((upstream) => ({ ...upstream, addresses: 'public' as const }));
    const registry = completed({ ...made, upstreams });
    onDemand.set(host, registry);
    return registry;
  }

  function configured(text: string): RegistrySpec | undefined {
    const host = canonicalHost(text);
    if (host === undefined) return undefined;
    const known = content.knownRegistries ? knownRegistryByPattern(host) : undefined;
    return hosts.get(host) ?? (known === undefined ? undefined : remembered(host, () => specOfKnown(known)));
  }

  function allowed(text: string): RegistrySpec | undefined {
    const host = canonicalHost(text);
    if (content.allowAny === undefined || host === undefined || !isPublicHost(host)) return undefined;
    const known = knownRegistryByHost(host) ?? knownRegistryByPattern(host);
    // Also by the registry's name: index.docker.io is docker.io.
    const names = [host, withoutPort(host), known?.name ?? host];
    if (denied.some((matches) => names.some(matches))) return undefined;
    return remembered(host, () => specOfKnown(known ?? registryAt(host)));
  }

  function byName(name: string): RegistrySpec | undefined {
    return looksLikeRegistry(name) ? (configured(name) ?? allowed(name)) : pathNames.get(name);
  }

  return {
    default: byDefault,
    domainSuffix: content.domainSuffix,
    ownHosts: content.ownHosts,
    byName,
    byPathName: byName,
    byHost: configured,
    byAlias: (alias) => words.get(alias.toLowerCase()) ?? configured(alias),
    list: () => registries,
  };
}

/** Brings a pattern to the form of {@link canonicalHost}, which it is matched against. */
function canonicalPattern(pattern: string): string {
  return pattern
    .toLowerCase()
    .replace(/\.(?=$|:\d+$)/, '')
    .replace(/:443$/, '');
}
