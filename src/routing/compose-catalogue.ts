import { isIP } from 'node:net';
import { nearest } from '../lib/index.ts';
import type { ConfiguredRegistry, ConfiguredUpstream, RegistrySpec } from '../oci/index.ts';
import { type AllowAny, type Catalogue, type CompleteUpstream, createCatalogue } from './catalogue.ts';
import { canonicalHost, isRegistryName, looksLikeRegistry, withoutPort } from './host.ts';
import { type HostingOptions, hostingOf, isAllHosted } from './hosting-options.ts';
import {
  KNOWN_REGISTRIES,
  type KnownRegistry,
  knownRegistryByAlias,
  knownRegistryByHost,
  knownRegistryByPattern,
} from './known-registries.ts';
import { type Claim, NameClaims } from './name-claims.ts';
import type { RegistryMap, RegistryMapEntry } from './registry-map.ts';
import { type StrategyOption, strategyOf } from './strategy-options.ts';
import {
  knownOfHost,
  parseUpstreamUrl,
  specOfKnown,
  type UpstreamOptions,
  type UpstreamUrl,
  upstreamOf,
} from './upstream-options.ts';

/** The sources of a catalogue. Later ones override earlier ones: known registries, registry map, configured registries. */
export interface CatalogueOptions {
  /** Configured registries by name: a host, or a word. */
  readonly registries?: Readonly<Record<string, RegistryOptions>>;
  readonly registryMap?: RegistryMap | undefined;
  /** Whether well-known public registries are included. @default true */
  readonly knownRegistries?: boolean;
  /** A name, or the address of a registry. @default the map's `default`, else docker.io */
  readonly defaultRegistry?: string;
  readonly domainSuffix?: string;
  /** As in {@link Catalogue.ownHosts}. @default none */
  readonly ownHosts?: ReadonlySet<string>;
  /** @default false: only configured registries can be named */
  readonly allowAny?: AllowAny | false;
  readonly complete: CompleteUpstream;
}

/** One configured registry. `{}` is enough for a known registry or a host name. */
export interface RegistryOptions extends HostingOptions {
  /** Other names; those without `.` and `:` also become short names, for host names, `/v2/` and paths. */
  readonly aliases?: readonly string[];
  /** In order of preference. @default none where every repository is hosted; else the known upstream, or https to the host of that name */
  readonly upstreams?: readonly (UpstreamOptions & { readonly weight?: number })[];
  /** @default in the order of `upstreams` */
  readonly strategy?: StrategyOption;
  /** @default 'stream' */
  readonly delivery?: RegistrySpec['delivery'];
  /** @default true if all upstreams are Docker Hub's own, or the registry is docker.io */
  readonly library?: boolean;
  readonly transfer?: RegistrySpec['transfer'];
}

/** A catalogue, or all problems; each begins with its option. */
type Composition =
  | { readonly catalogue: Catalogue; readonly problems: readonly [] }
  | { readonly catalogue: undefined; readonly problems: readonly string[] };

/** Builds the catalogue of known and configured registries, and reports all problems at once. */
export function composeCatalogue(options: CatalogueOptions): Composition {
  const knownRegistries = options.knownRegistries ?? true;
  const draft = new Draft();
  if (knownRegistries) for (const known of KNOWN_REGISTRIES) draft.addKnown(known);
  for (const entry of options.registryMap?.entries ?? []) applyMapEntry(draft, entry);
  for (const [key, registry] of Object.entries(options.registries ?? {})) applyRegistry(draft, key, registry);
  const byDefault = defaultOf(draft, options);
  const domainSuffix = suffixOf(draft, options.domainSuffix);
  const registries = draft.finish();
  if (draft.problems.length > 0 || byDefault === undefined) return { catalogue: undefined, problems: draft.problems };
  const catalogue = createCatalogue({
    default: byDefault,
    domainSuffix,
    ownHosts: options.ownHosts ?? new Set(),
    registries,
    knownRegistries,
    allowAny: options.allowAny || undefined,
    complete: options.complete,
  });
  return { catalogue, problems: [] };
}

type Core = Pick<
  ConfiguredRegistry,
  'name' | 'library' | 'delivery' | 'upstreams' | 'strategy' | 'transfer' | 'hosting'
>;

/** A catalogue under construction: registries by name, claims to other names, problems. */
class Draft {
  readonly problems: string[] = [];
  readonly #registries = new Map<string, Core>();
  readonly #claims = new NameClaims();

  get(name: string): Core | undefined {
    return this.#registries.get(name);
  }

  all(): Iterable<Core> {
    return this.#registries.values();
  }

  put(core: Core): void {
    this.#registries.set(core.name, core);
  }

  /** Adds a known registry, unless it is present. Any other claim to its aliases takes precedence. */
  addKnown(known: KnownRegistry): Core {
    const present = this.#registries.get(known.name);
    if (present !== undefined) return present;
    const spec = specOfKnown(known);
    this.put(spec);
    for (const word of [...known.hosts, ...known.aliases]) {
      this.claim({ word, registry: known.name, isBuiltIn: true, where: known.name, isPathName: false });
    }
    return spec;
  }

  claim(claim: Claim): void {
    this.#claims.add(claim);
  }

  /** The registry with this alias. */
  ownerOf(word: string): string | undefined {
    return this.#claims.ownerOf(word);
  }

  /** Assigns the names. */
  finish(): readonly ConfiguredRegistry[] {
    const { settled, problems } = this.#claims.settle(new Set(this.#registries.keys()));
    this.problems.push(...problems);
    return [...this.#registries.values()].map((core) => {
      const { name, library, delivery, upstreams, strategy, transfer, hosting } = core;
      const claims = settled.get(name) ?? [];
      const words = claims.filter(({ word }) => !looksLikeRegistry(word) && word !== name);
      return {
        name,
        hosts: claims.map(({ word }) => word).filter((word) => looksLikeRegistry(word) && word !== name),
        aliases: words.map(({ word }) => word),
        pathNames: claims.filter(({ isPathName }) => isPathName).map(({ word }) => word),
        library,
        delivery,
        upstreams,
        ...(strategy !== undefined && { strategy }),
        ...(transfer !== undefined && { transfer }),
        ...(hosting !== undefined && { hosting }),
      };
    });
  }
}

/**
 * Applies an entry of crproxy's map. If the URL is a known registry, the key becomes one more alias of it; if the key names
 * a known registry, that registry gets the URL as its upstream; otherwise the key is a new registry.
 */
function applyMapEntry(draft: Draft, { key, url }: RegistryMapEntry): void {
  const where = `registry_map.${key}`;
  const meant = url.prefix === '' ? knownOfHost(url.host) : undefined;
  const called = knownRegistryByAlias(key) ?? knownRegistryByHost(key);
  if (meant !== undefined) {
    draft.addKnown(meant);
    if (called?.name === meant.name) return;
    // In paths, `docker` and the like are organisations of Docker Hub, even if the map redirects the alias.
    draft.claim({ word: key, registry: meant.name, isBuiltIn: false, where, isPathName: isPathWord(key) && !called });
    return;
  }
  if (called !== undefined) {
    draft.put({ ...draft.addKnown(called), upstreams: [upstreamOf(url)] });
    return;
  }
  draft.put({ name: key, library: false, delivery: 'stream', upstreams: [upstreamOf(url)] });
  if (isPathWord(key)) draft.claim({ word: key, registry: key, isBuiltIn: false, where, isPathName: true });
}

/** Applies an entry of `registries`. */
function applyRegistry(draft: Draft, key: string, options: RegistryOptions): void {
  const where = `registries.${key}`;
  const name = registryNameOf(draft, key, where);
  if (name === undefined) return;
  const base = draft.get(name);
  const upstreams = upstreamsOf(draft, options, { name, where });
  // Of no upstream at all, every one is Docker Hub's.
  const isHub = upstreams.length > 0 && upstreams.every(isDockerHub);
  const library = options.library ?? base?.library ?? isHub;
  const report = (problem: string): void => void draft.problems.push(problem);
  const strategy = strategyOf(options, upstreams);
  const hosting = hostingOf(options, { key, name, library, where, report });
  draft.put({
    name,
    delivery: options.delivery ?? 'stream',
    upstreams,
    library,
    ...(strategy !== undefined && { strategy }),
    ...(options.transfer !== undefined && { transfer: options.transfer }),
    ...(hosting !== undefined && { hosting }),
  });
  if (isPathWord(name)) draft.claim({ word: name, registry: name, isBuiltIn: false, where, isPathName: true });
  for (const alias of options.aliases ?? []) {
    const word = canonicalHost(alias) ?? alias;
    if (isRegistryName(word)) {
      draft.claim({ word, registry: name, isBuiltIn: false, where: `${where}.aliases`, isPathName: isPathWord(word) });
    } else {
      draft.problems.push(
        `${where}.aliases: found "${alias}", expected a host, or a word of lower-case letters, digits and single . _ -`,
      );
    }
  }
}

/** The name for a key: that of a known registry for any of its hosts, which is added to the draft. */
function registryNameOf(draft: Draft, key: string, where: string): string | undefined {
  const name = canonicalHost(key) ?? key;
  if (!isRegistryName(name)) {
    draft.problems.push(
      `${where}: found "${key}", expected a host such as ghcr.io or localhost:5001, or a word of lower-case letters, digits and single _ -`,
    );
    return undefined;
  }
  const known = knownRegistryByHost(name) ?? knownRegistryByPattern(name);
  if (known === undefined) return name;
  draft.addKnown(known);
  return known.name;
}

/** The upstreams of a configured registry: those that are written; none where all is hosted; else those it is known to have. */
function upstreamsOf(
  draft: Draft,
  options: RegistryOptions,
  { name, where }: { readonly name: string; readonly where: string },
): readonly ConfiguredUpstream[] {
  const { upstreams } = options;
  if (isAllHosted(options)) {
    if (upstreams !== undefined) {
      draft.problems.push(
        `${where}: found upstreams beside hosted: true, expected one of the two: what is hosted is never asked of an upstream; for some repositories write hosted: [acme/**]`,
      );
    }
    return [];
  }
  if (upstreams !== undefined) return readUpstreams(draft, upstreams, where);
  return draft.get(name)?.upstreams ?? assumedUpstreams(draft, name, where);
}

function readUpstreams(
  draft: Draft,
  upstreams: NonNullable<RegistryOptions['upstreams']>,
  where: string,
): readonly ConfiguredUpstream[] {
  if (upstreams.length === 0) {
    draft.problems.push(`${where}.upstreams: found an empty list, expected at least one address`);
  }
  const names = new Map<string, number>();
  return upstreams.flatMap((written, position) => {
    // A part of the strategy: with another weight it is the same upstream, and keeps its connections and health.
    const { weight: _, ...options } = written;
    const url = parseUpstreamUrl(options.url);
    if (typeof url === 'string') {
      draft.problems.push(`${where}.upstreams[${position}].url: ${url}`);
      return [];
    }
    const upstream = upstreamOf(url, options);
    const count = (names.get(upstream.name) ?? 0) + 1;
    names.set(upstream.name, count);
    if (count === 1) return [upstream];
    if (options.name !== undefined) {
      draft.problems.push(`${where}.upstreams[${position}].name: "${options.name}" is another upstream's name already`);
    }
    // Two prefixes of one host need no configured names, but logs and metrics must tell them apart.
    return [{ ...upstream, name: `${upstream.name}#${count}` }];
  });
}

function assumedUpstreams(draft: Draft, name: string, where: string): readonly ConfiguredUpstream[] {
  if (looksLikeRegistry(name) && withoutPort(name) !== 'localhost') {
    return [upstreamOf({ url: `https://${name}`, host: name, prefix: '' })];
  }
  const known = knownRegistryByAlias(name);
  const remedy =
    known === undefined
      ? 'expected upstreams, e.g. upstreams: [https://registry.example.com], or hosted: true for images that are pushed here'
      : `expected upstreams; to use "${name}" for ${known.name}, write registries: {${known.name}: {aliases: [${name}]}}`;
  draft.problems.push(`${where}: "${name}" does not say where its content is; ${remedy}`);
  return [];
}

/** The name of the default registry; adds one for a URL that belongs to none. */
function defaultOf(draft: Draft, options: CatalogueOptions): string | undefined {
  const given = options.defaultRegistry ?? options.registryMap?.default;
  const where =
    options.defaultRegistry === undefined && given !== undefined ? 'registry_map.default' : 'default_registry';
  const text = given ?? 'docker.io';
  if (text.includes('://')) {
    const url = parseUpstreamUrl(text);
    if (typeof url !== 'string') return defaultByUrl(draft, url, where);
    draft.problems.push(`${where}: ${url}`);
    return undefined;
  }
  const name = canonicalHost(text) ?? text;
  const isOmitted = given === undefined && options.knownRegistries === false && draft.get(name) === undefined;
  const known = isOmitted ? undefined : (knownRegistryByHost(name) ?? knownRegistryByPattern(name));
  if (known !== undefined) return draft.addKnown(known).name;
  const found = draft.get(name)?.name ?? draft.ownerOf(name);
  if (found === undefined) {
    const remedy = 'expected a registry listed under "registries", a known one, or an address such as https://ghcr.io';
    const names = [...draft.all()].map((registry) => registry.name);
    const meant = isOmitted
      ? undefined
      : nearest(name, [...names, ...KNOWN_REGISTRIES.map((registry) => registry.name)]);
    const what = isOmitted ? 'docker.io is not among the registries' : `found "${text}"`;
    draft.problems.push(`${where}: ${what}; ${remedy}${meant === undefined ? '' : `; did you mean ${meant}?`}`);
  }
  return found;
}

function defaultByUrl(draft: Draft, url: UpstreamUrl, where: string): string | undefined {
  for (const { name, upstreams } of draft.all())
    if (upstreams[0]?.url === url.url && upstreams[0].repositoryPrefix === undefined) return name;
  const known = url.prefix === '' ? knownOfHost(url.host) : undefined;
  if (known !== undefined) return draft.addKnown(known).name;
  const name = canonicalHost(url.host);
  const namesake = name === undefined ? undefined : draft.get(name);
  if (namesake !== undefined && url.prefix === '') return namesake.name;
  if (name === undefined || namesake !== undefined) {
    const reason =
      namesake === undefined ? 'has no host that could be a name' : `would be called ${name}, as another is`;
    draft.problems.push(
      `${where}: ${url.url} ${reason}; list it under "registries" by a name, and give that name here`,
    );
    return undefined;
  }
  const upstreams = [upstreamOf(url)];
  draft.put({ name, library: upstreams.every(isDockerHub), delivery: 'stream', upstreams });
  return name;
}

function suffixOf(draft: Draft, text: string | undefined): string | undefined {
  if (text === undefined || text === '') return undefined;
  const suffix = canonicalHost(text.replace(/^\./, ''));
  if (suffix !== undefined && !suffix.includes(':') && isIP(suffix) === 0) return suffix;
  draft.problems.push(`domain_suffix: found "${text}", expected a domain without a port, e.g. mirror.example.com`);
  return undefined;
}

/** True for a name that only the configuration tells apart from the first component of a repository. */
function isPathWord(name: string): boolean {
  return !looksLikeRegistry(name);
}

function isDockerHub(upstream: Pick<ConfiguredUpstream, 'url'>): boolean {
  return knownOfHost(new URL(upstream.url).host)?.library === true;
}
