import { compileGlob, Lru } from '../lib/index.ts';
import type { RegistrySpec, UpstreamSpec } from '../oci/index.ts';
import { canonicalHost, isPublicHost, looksLikeRegistry, withoutPort } from './host.ts';
import { knownRegistryByHost, knownRegistryByPattern } from './known-registries.ts';
import { specOfHost, specOfKnown } from './upstream-options.ts';

/**
 * Every registry that can be named, each found in constant time. A closed world: whatever is asked, the answer is one
 * of the configured registries, a region of `*.pkg.dev`, or, only where `allow_any` is set, a public host.
 *
 * A registry made on demand may be forgotten and made again: remember it by its name, not by its object.
 */
export interface Catalogue {
  /** Whose images names without a registry mean. */
  readonly default: RegistrySpec;
  /** The domain whose sub-hosts name registries; lower case, without a leading dot. */
  readonly domainSuffix: string | undefined;
  /** What `?ns=` may say: a registry's host, with its port, or a dotless name the operator wrote. */
  byName(name: string): RegistrySpec | undefined;
  /** What the Host header may say where DNS sends a registry's own name here; never by `allow_any`. */
  byHost(host: string): RegistrySpec | undefined;
  /** What may stand in front of `/v2/` and of the domain suffix: a short name, or anything {@link byHost} knows. */
  byAlias(alias: string): RegistrySpec | undefined;
  /** What may be the first component of a repository's name: the same as in `?ns=`. */
  byPathName(component: string): RegistrySpec | undefined;
  /** All that are configured or known; those made on demand are not among them. */
  list(): readonly RegistrySpec[];
}

/** Permission to name any public host. */
export interface AllowAny {
  /** Hosts that stay refused; `*` stands for anything. Compared with the host, with host and port, and with the registry's name. */
  readonly deny: readonly string[];
}

/** What a catalogue holds, free of contradictions already. */
export interface CatalogueContent {
  readonly default: RegistrySpec;
  readonly domainSuffix: string | undefined;
  readonly registries: readonly RegistrySpec[];
  /** Whether the hosts of known patterns (`*.pkg.dev`) are registries. */
  readonly includeKnown: boolean;
  readonly allowAny: AllowAny | undefined;
  /** See {@link InternUpstream}. @default each catalogue has objects of its own */
  readonly intern?: InternUpstream | undefined;
}

/**
 * Gives an upstream that is the same as one of an earlier catalogue as the very object it was there: what is learnt of an
 * upstream is kept with it.
 */
export type InternUpstream = (registry: string, upstream: UpstreamSpec) => UpstreamSpec;

/** Registries made on demand that are remembered: clients choose the names, so their number must have an end. */
const MAX_ON_DEMAND = 256;

/** Builds the lookups. */
export function createCatalogue(content: CatalogueContent): Catalogue {
  const { intern = (_registry, upstream) => upstream } = content;
  const registries = content.registries.map((registry) => interned(registry, intern));
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

  function remembered(host: string, make: () => RegistrySpec): RegistrySpec {
    const found = onDemand.get(host);
    if (found !== undefined) return found;
    const made = make();
    // A client chose (a part of) this host, so what it resolves to must not lead inside.
    const upstreams = made.upstreams.map((upstream) => ({ ...upstream, addresses: 'public' as const }));
    const registry = interned({ ...made, upstreams }, intern);
    onDemand.set(host, registry);
    return registry;
  }

  function configured(text: string): RegistrySpec | undefined {
    const host = canonicalHost(text);
    if (host === undefined) return undefined;
    const known = content.includeKnown ? knownRegistryByPattern(host) : undefined;
    return hosts.get(host) ?? (known === undefined ? undefined : remembered(host, () => specOfKnown(known)));
  }

  function allowed(text: string): RegistrySpec | undefined {
    const host = canonicalHost(text);
    if (content.allowAny === undefined || host === undefined || !isPublicHost(host)) return undefined;
    const known = knownRegistryByHost(host) ?? knownRegistryByPattern(host);
    // By its own name too: index.docker.io is docker.io.
    const names = [host, withoutPort(host), known?.name ?? host];
    if (denied.some((matches) => names.some(matches))) return undefined;
    return remembered(host, () => (known === undefined ? specOfHost(host) : specOfKnown(known)));
  }

  function byName(name: string): RegistrySpec | undefined {
    return looksLikeRegistry(name) ? (configured(name) ?? allowed(name)) : pathNames.get(name);
  }

  return {
    default: registries[content.registries.indexOf(content.default)] ?? content.default,
    domainSuffix: content.domainSuffix,
    byName,
    byPathName: byName,
    byHost: configured,
    byAlias: (alias) => words.get(alias.toLowerCase()) ?? configured(alias),
    list: () => registries,
  };
}

/** A pattern as {@link canonicalHost} writes what it is compared with; else it would deny nothing. */
function canonicalPattern(pattern: string): string {
  return pattern
    .toLowerCase()
    .replace(/\.(?=$|:\d+$)/, '')
    .replace(/:443$/, '');
}

function interned(registry: RegistrySpec, intern: InternUpstream): RegistrySpec {
  return { ...registry, upstreams: registry.upstreams.map((upstream) => intern(registry.name, upstream)) };
}
