import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { Config } from './config/index.ts';
import { Lru } from './lib/index.ts';
import type { TlsSpec, UpstreamSpec } from './oci/index.ts';
import type { Catalogue } from './routing/index.ts';
import { catalogueOf, SettingsError } from './settings.ts';
import { openTransport, type Transport, type TransportParts, transportKeyOf } from './transport.ts';

/** Which registries there are, and the way to them. */
export interface Reach {
  readonly catalogue: Catalogue;
  readonly transport: Transport;
}

/** Upstreams remembered as they were; of one that is forgotten, what was learnt is learnt anew. */
const REMEMBERED = 8192;

/**
 * Finds the registries of one configuration after the other, and keeps what is the same: an upstream whose settings did
 * not change keeps its connections, tokens and troubles.
 */
export class Reaches {
  readonly #parts: TransportParts;
  readonly #specs = new Lru<UpstreamSpec>({ maxWeight: REMEMBERED });
  readonly #transports = new Set<Transport>();

  constructor(parts: TransportParts) {
    this.#parts = parts;
  }

  /** The registries of a configuration, by the way there is where that will do. @throws {SettingsError} */
  async open(config: Config, before?: Reach): Promise<Reach> {
    const files = await readUpstreamFiles(config);
    if (before !== undefined) await checkUpstreamFiles(config, files);
    const catalogue = await catalogueOf(config, { intern: (registry, spec) => this.#intern(registry, spec, files) });
    const isSameWay = before !== undefined && before.transport.key === (await transportKeyOf(config));
    if (isSameWay) return { catalogue, transport: before.transport };
    const transport = await openTransport(config, this.#parts);
    this.#transports.add(transport);
    return { catalogue, transport };
  }

  /** Closes what the one had and the other has not, as it is no longer used. */
  leave(before: Reach, after: Reach): void {
    const { transport } = before;
    if (transport !== after.transport) {
      void transport.retire().then(() => this.#transports.delete(transport));
      return;
    }
    const kept = new Set(after.catalogue.list().flatMap(({ upstreams }) => upstreams));
    const gone = before.catalogue
      .list()
      .flatMap(({ name, upstreams }) =>
        upstreams.filter((each) => !kept.has(each)).map((each) => `${name} ${each.name} `),
      );
    // Of what a mirror route's files held nothing is remembered: its client reads them anew.
    const mayDiffer = (key: string, { caFile, certFile, keyFile }: TlsSpec): boolean =>
      key.startsWith('mirror ') && [caFile, certFile, keyFile].some((file) => file !== undefined);
    void transport.clients.retire(
      ({ key, tls = {} }) => gone.some((prefix) => key.startsWith(prefix)) || mayDiffer(key, tls),
    );
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

/** What the files hold that TLS towards upstreams needs; one that cannot be read is left out. */
async function readUpstreamFiles(config: Config): Promise<ReadonlyMap<string, string>> {
  const files = new Map<string, string>();
  for (const { upstreams = [] } of Object.values(config.registries)) {
    for (const { tls = {} } of upstreams) {
      for (const file of [tls.ca_file, tls.cert_file, tls.key_file]) {
        if (file === undefined || files.has(file)) continue;
        const text = await readFile(file, 'utf8').catch(() => undefined);
        if (text !== undefined) files.set(file, text);
      }
    }
  }
  return files;
}

/** Whether these files can be put to use, which otherwise shows when the upstream is first asked. @throws {SettingsError} */
async function checkUpstreamFiles(config: Config, files: ReadonlyMap<string, string>): Promise<void> {
  if (files.size === 0) return;
  const { createSecureContext } = await import('node:tls');
  const problems: string[] = [];
  for (const [name, { upstreams = [] }] of Object.entries(config.registries)) {
    for (const [at, { tls }] of upstreams.entries()) {
      if (tls === undefined) continue;
      const { ca_file, cert_file, key_file } = tls;
      const [ca, cert, key] = [ca_file, cert_file, key_file].map((file) => file && files.get(file));
      try {
        createSecureContext({ ...(ca && { ca }), ...(cert && { cert }), ...(key && { key }) });
      } catch (error) {
        problems.push(
          `registries.${name}.upstreams[${at}].tls: found files that cannot be used: ${(error as Error).message}`,
        );
      }
    }
  }
  if (problems.length > 0) throw new SettingsError(problems);
}
