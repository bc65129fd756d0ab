import { createHash } from 'node:crypto';
import type { Config } from '../config/index.ts';
import { Lru } from '../lib/index.ts';
import { OciError, type OriginSource, type RegistrySpec, type TlsSpec, type UpstreamSpec } from '../oci/index.ts';
import type { Catalogue } from '../routing/index.ts';
import type { Telemetry } from '../telemetry/index.ts';
import { openTransport, type Transport, transportKeyOf } from './client-pool.ts';
import { catalogueOf, readUpstreamFiles } from './settings/index.ts';

/** The registries of one configuration, and the transport to their upstreams. */
export interface UpstreamSet {
  readonly catalogue: Catalogue;
  readonly transport: Transport;
}

/** The upstreams of a registry of the set's catalogue. */
export function originOf({ transport }: UpstreamSet, registry: RegistrySpec): OriginSource {
  return async () => (await transport.upstreams.get()).originOf(registry);
}

/** As {@link originOf}, by the registry's name. @throws {OciError} where no registry has it */
export function originOfName(upstreams: UpstreamSet, name: string): OriginSource {
  const registry = upstreams.catalogue.byName(name);
  if (registry === undefined) throw new OciError('NAME_UNKNOWN', `no registry is called ${name}`);
  return originOf(upstreams, registry);
}

/** Upstream specs remembered; a forgotten upstream loses its tokens and health. */
const REMEMBERED = 8192;

/**
 * Opens the upstreams of one configuration after the other. An upstream whose settings did not change keeps its connections,
 * tokens and health.
 */
export class UpstreamSets {
  readonly #telemetry: Telemetry;
  readonly #specs = new Lru<UpstreamSpec>({ maxWeight: REMEMBERED });
  readonly #transports = new Set<Transport>();

  constructor(telemetry: Telemetry) {
    this.#telemetry = telemetry;
  }

  /** @param before its transport is used again where the options are equal @throws {SettingsError} */
  async open(config: Config, before?: UpstreamSet): Promise<UpstreamSet> {
    const files = await readUpstreamFiles(config);
    const catalogue = await catalogueOf(config, { intern: (registry, spec) => this.#intern(registry, spec, files) });
    const isSameTransport = before !== undefined && before.transport.key === (await transportKeyOf(config));
    if (isSameTransport) return { catalogue, transport: before.transport };
    const transport = await openTransport(config, this.#telemetry);
    this.#transports.add(transport);
    return { catalogue, transport };
  }

  /** Whether two sets have the same upstreams and the same transport; names of registries do not matter. */
  isSame(one: UpstreamSet, other: UpstreamSet): boolean {
    return one.transport === other.transport && upstreamsOf(one).symmetricDifference(upstreamsOf(other)).size === 0;
  }

  /** Closes a set that was opened but does not become the current one. */
  abandon(opened: UpstreamSet, current: UpstreamSet): void {
    if (opened.transport !== current.transport) this.#retireTransport(opened.transport);
  }

  /** Retires what only the earlier set used; requests that run may finish. */
  retire(before: UpstreamSet, after: UpstreamSet): void {
    const { transport, catalogue } = before;
    const gone = upstreamsOf(before).difference(upstreamsOf(after));
    // An upstream that comes back in a later configuration starts fresh, as its clients are retired.
    for (const [key, spec] of this.#specs.entries()) if (gone.has(spec)) this.#specs.delete(key);
    if (transport !== after.transport) {
      this.#retireTransport(transport);
      return;
    }
    const prefixes = catalogue
      .list()
      .flatMap(({ name, upstreams }) =>
        upstreams.filter((each) => gone.has(each)).map((each) => `${name} ${each.name} `),
      );
    // The contents of a mirror route's files are not known here, so its client reads them again.
    const mayDiffer = (key: string, { caFile, certFile, keyFile }: TlsSpec): boolean =>
      key.startsWith('mirror ') && [caFile, certFile, keyFile].some((file) => file !== undefined);
    void transport.clients.retire(
      ({ key, tls = {} }) => prefixes.some((prefix) => key.startsWith(prefix)) || mayDiffer(key, tls),
    );
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

function upstreamsOf({ catalogue }: UpstreamSet): ReadonlySet<UpstreamSpec> {
  return new Set(catalogue.list().flatMap(({ upstreams }) => upstreams));
}
