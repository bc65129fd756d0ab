import { createHash } from 'node:crypto';
import type { Config } from '../config/index.ts';
import { Lru } from '../lib/index.ts';
import { OciError, type OriginSource, type RegistrySpec, type TlsSpec, type UpstreamSpec } from '../oci/index.ts';
import type { Catalogue } from '../routing/index.ts';
import type { Telemetry } from '../telemetry/index.ts';
import { openTransport, type Transport, transportKeyOf } from './client-pool.ts';
import { catalogueOf, readUpstreamFiles } from './settings/index.ts';

/** Which registries there are, and the way to them. */
export interface UpstreamSet {
  readonly catalogue: Catalogue;
  readonly transport: Transport;
}

/** The upstreams of a registry, reached by the transport of the set that the registry was found in. */
export function originOf({ transport }: UpstreamSet, registry: RegistrySpec): OriginSource {
  return async () => (await transport.upstreams.get()).originOf(registry);
}

/** As {@link originOf}, by the registry's name. @throws {OciError} where no registry has it */
export function originOfName(upstreams: UpstreamSet, name: string): OriginSource {
  const registry = upstreams.catalogue.byName(name);
  if (registry === undefined) throw new OciError('NAME_UNKNOWN', `no registry is called ${name}`);
  return originOf(upstreams, registry);
}

/** Upstreams remembered as they were; of one that is forgotten, what was learnt is learnt anew. */
const REMEMBERED = 8192;

/**
 * Finds the registries of one configuration after the other, and keeps what is the same: an upstream whose settings did
 * not change keeps its connections, tokens and troubles.
 */
export class UpstreamSets {
  readonly #telemetry: Telemetry;
  readonly #specs = new Lru<UpstreamSpec>({ maxWeight: REMEMBERED });
  readonly #transports = new Set<Transport>();

  constructor(telemetry: Telemetry) {
    this.#telemetry = telemetry;
  }

  /** The registries of a configuration, by the way there is where that will do. @throws {SettingsError} */
  async open(config: Config, before?: UpstreamSet): Promise<UpstreamSet> {
    const files = await readUpstreamFiles(config);
    const catalogue = await catalogueOf(config, { intern: (registry, spec) => this.#intern(registry, spec, files) });
    const isSameWay = before !== undefined && before.transport.key === (await transportKeyOf(config));
    if (isSameWay) return { catalogue, transport: before.transport };
    const transport = await openTransport(config, this.#telemetry);
    this.#transports.add(transport);
    return { catalogue, transport };
  }

  /** Whether the same upstreams are asked in the same way, whatever else they are called. */
  isSame(one: UpstreamSet, other: UpstreamSet): boolean {
    return one.transport === other.transport && upstreamsOf(one).symmetricDifference(upstreamsOf(other)).size === 0;
  }

  /** Lets go of what was opened and is not put to use. */
  abandon(opened: UpstreamSet, current: UpstreamSet): void {
    if (opened.transport !== current.transport) this.#retireTransport(opened.transport);
  }

  /** Closes what the one had and the other has not, as it is no longer used. */
  retire(before: UpstreamSet, after: UpstreamSet): void {
    const { transport, catalogue } = before;
    const gone = upstreamsOf(before).difference(upstreamsOf(after));
    // Should one come back, it begins anew: its clients keep nothing any more.
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
    // Of what a mirror route's files held nothing is remembered: its client reads them anew.
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
