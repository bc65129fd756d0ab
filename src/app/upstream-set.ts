import { createHash } from 'node:crypto';
import type { Config } from '../config/index.ts';
import { Lru, type Via } from '../lib/index.ts';
import { OciError, type OriginSource, type RegistrySpec, type UpstreamSpec } from '../oci/index.ts';
import type { Catalogue, InternUpstream } from '../routing/index.ts';
import type { Telemetry } from '../telemetry/index.ts';
import type { MirrorSpec } from '../upstream/index.ts';
import { openTransport, type Transport, transportKeyOf } from './client-pool.ts';
import { catalogueOf, mirrorSpecOf, readUpstreamFiles } from './settings/index.ts';

/** The registries and mirror routes of one configuration, and the transport to their upstreams. */
export interface UpstreamSet {
  readonly catalogue: Catalogue;
  readonly mirrors: readonly MirrorSpec[];
  readonly transport: Transport;
}

/** The upstreams of a registry of the set's catalogue, for a request that has come this way. */
export function originOf(
  { transport }: UpstreamSet,
  { registry, via }: { readonly registry: RegistrySpec; readonly via: Via | undefined },
): OriginSource {
  const open = async () => (await transport.upstreams.get()).originOf(registry, via);
  return Object.assign(open, { hops: via?.hops ?? 0 });
}

/** As {@link originOf}, by the registry's name. @throws {OciError} where no registry has it */
export function originOfName(
  upstreams: UpstreamSet,
  { name, via }: { readonly name: string; readonly via: Via },
): OriginSource {
  const registry = upstreams.catalogue.byName(name);
  if (registry === undefined) throw new OciError('NAME_UNKNOWN', `no registry is called ${name}`);
  return originOf(upstreams, { registry, via });
}

/** Upstreams that are interned. One that is evicted loses its tokens, health and connections at the next reload. */
const MAX_INTERNED = 8192;

/**
 * Composes the upstreams of one configuration after another, and interns them: an upstream whose settings and files did
 * not change stays the same object, and so keeps its connections, tokens and health.
 */
export class UpstreamSets {
  readonly #telemetry: Telemetry;
  readonly #specs = new Lru<UpstreamSpec>({ maxWeight: MAX_INTERNED });
  readonly #transports = new Set<Transport>();

  constructor(telemetry: Telemetry) {
    this.#telemetry = telemetry;
  }

  /** The upstreams of a configuration; the transport of the set before is kept where it fits. @throws {SettingsError} */
  async open(config: Config, before?: UpstreamSet): Promise<UpstreamSet> {
    const files = await readUpstreamFiles(config);
    const intern: InternUpstream = (registry, spec) => this.#intern(registry, spec, files);
    const catalogue = await catalogueOf(config, { intern });
    const mirrors = config.mirrors.map(mirrorSpecOf).map((route) => ({
      ...route,
      // No registry has a space in its name.
      upstream: intern(`mirror ${route.name}`, route.upstream),
    }));
    const key = transportKeyOf(config, files);
    if (before?.transport.key === key) return { catalogue, mirrors, transport: before.transport };
    const transport = await openTransport(config, { key, telemetry: this.#telemetry });
    this.#transports.add(transport);
    return { catalogue, mirrors, transport };
  }

  /** Whether two sets have the same upstreams and the same transport; the names of registries may differ. */
  isSame(one: UpstreamSet, other: UpstreamSet): boolean {
    const difference = new Set(upstreamsOf(one.catalogue)).symmetricDifference(new Set(upstreamsOf(other.catalogue)));
    return one.transport === other.transport && difference.size === 0;
  }

  /** Closes a set that was opened but does not become the current one. */
  abandon(opened: UpstreamSet, current: UpstreamSet): void {
    if (opened.transport !== current.transport) this.#retireTransport(opened.transport);
  }

  /** Closes what only the set before needs, as its requests end. */
  retire(before: UpstreamSet, after: UpstreamSet): void {
    const removed = new Set(allUpstreamsOf(before)).difference(new Set(allUpstreamsOf(after)));
    // Should one come back, it is a new object with new clients: those of the old one close.
    for (const [key, spec] of this.#specs.entries()) if (removed.has(spec)) this.#specs.delete(key);
    if (before.transport !== after.transport) this.#retireTransport(before.transport);
    else void before.transport.clients.retire(removed);
  }

  #retireTransport(transport: Transport): void {
    void transport.retire().then(() => this.#transports.delete(transport));
  }

  /** Closes every connection. */
  async close(): Promise<void> {
    await Promise.all([...this.#transports].map((each) => each.close()));
  }

  #intern(registry: string, spec: UpstreamSpec, files: ReadonlyMap<string, string>): UpstreamSpec {
    const { caFile, certFile, keyFile } = spec.tls ?? {};
    const contents = [caFile, certFile, keyFile].map((file) => (file === undefined ? '' : files.get(file)));
    const key = createHash('sha256')
      .update(JSON.stringify([registry, spec, contents]))
      .digest('base64');
    const known = this.#specs.get(key) ?? spec;
    this.#specs.set(key, known);
    return known;
  }
}

function upstreamsOf(catalogue: Catalogue): readonly UpstreamSpec[] {
  return catalogue.list().flatMap(({ upstreams }) => upstreams);
}

function allUpstreamsOf({ catalogue, mirrors }: UpstreamSet): readonly UpstreamSpec[] {
  return [...upstreamsOf(catalogue), ...mirrors.map(({ upstream }) => upstream)];
}
