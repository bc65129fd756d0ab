import { readFile } from 'node:fs/promises';
import type { HttpClient, HttpClientOptions, Resolver } from '../../net/index.ts';
import type { DnsSpec, TransportSpec } from '../../oci/index.ts';
import type { Telemetry } from '../../telemetry/index.ts';
import { SettingsError } from './error.ts';
import { loadNet } from './lazy.ts';

/**
 * The HTTP clients of transports and the resolvers that they share: each is opened at its first use, once per object.
 *
 * A bad PEM file rejects with {@link SettingsError}; the next call reads it again.
 */
export class ClientPool {
  readonly #telemetry: Telemetry | undefined;
  readonly #clients = new Map<TransportSpec, Promise<HttpClient>>();
  readonly #resolvers = new Map<DnsSpec, Promise<Resolver>>();
  /** Requests that began before may still use them. */
  readonly #retired = new WeakSet<TransportSpec>();

  /** @param telemetry gets the events of names and handshakes */
  constructor(telemetry?: Telemetry) {
    this.#telemetry = telemetry;
  }

  async clientFor(transport: TransportSpec): Promise<HttpClient> {
    const isOpen = this.#clients.has(transport);
    const client = await openOnce(this.#clients, transport, async () => {
      const { createHttpClient } = await loadNet();
      return createHttpClient(await this.optionsFor(transport));
    });
    // Opened for a request of a retired generation, it keeps no idle connections either.
    if (!isOpen && this.#retired.has(transport)) void this.#end(transport);
    return client;
  }

  /** The options of a client, or of a dial. */
  async optionsFor({ tls, dns, outboundProxy, ...options }: TransportSpec): Promise<HttpClientOptions> {
    const [ca, cert, key, resolver, proxy] = await Promise.all([
      readAuthorities(tls.caFiles),
      readPem(tls.certFile),
      readPem(tls.keyFile),
      dns === undefined ? undefined : openOnce(this.#resolvers, dns, () => this.#openResolver(dns)),
      outboundProxyOf(outboundProxy),
    ]);
    return {
      ...options,
      ...proxy,
      ...(this.#telemetry === undefined ? {} : { telemetry: this.#telemetry }),
      ...(resolver === undefined ? {} : { lookup: resolver.lookup }),
      tls: {
        ...ca,
        ...(cert === undefined ? {} : { cert }),
        ...(key === undefined ? {} : { key }),
        insecureSkipVerify: tls.insecureSkipVerify,
      },
    };
  }

  /** Closes what only the transports `before` need, as its requests end; what those of `after` need is kept. */
  async retire(before: readonly TransportSpec[], after: readonly TransportSpec[]): Promise<void> {
    const removed = new Set(before).difference(new Set(after));
    for (const transport of removed) this.#retired.add(transport);
    await Promise.all([...removed].map((transport) => this.#end(transport)));
    const unused = new Set(before.map(({ dns }) => dns)).difference(new Set(after.map(({ dns }) => dns)));
    for (const dns of unused) if (dns !== undefined) await this.#endResolver(dns);
  }

  /** Closes every connection. */
  async close(): Promise<void> {
    await Promise.allSettled([...this.#clients.values()].map(async (client) => (await client).close()));
    await Promise.allSettled([...this.#resolvers.values()].map(async (resolver) => (await resolver).close()));
  }

  async #openResolver({ caFiles, ...options }: DnsSpec): Promise<Resolver> {
    const telemetry = this.#telemetry;
    const [{ createResolver }, ca] = await Promise.all([loadNet(), readAuthorities(caFiles)]);
    return createResolver({ ...options, tls: ca, ...(telemetry === undefined ? {} : { telemetry }) });
  }

  async #end(transport: TransportSpec): Promise<void> {
    const client = await this.#clients.get(transport)?.catch(() => undefined);
    await client?.close({ graceful: true });
    this.#clients.delete(transport);
  }

  async #endResolver(dns: DnsSpec): Promise<void> {
    const resolver = await this.#resolvers.get(dns)?.catch(() => undefined);
    this.#resolvers.delete(dns);
    resolver?.close({ graceful: true });
  }
}

/** The value of a key, opened where there is none; one that could not be opened is forgotten. */
function openOnce<K, V>(opened: Map<K, Promise<V>>, key: K, open: () => Promise<V>): Promise<V> {
  const known = opened.get(key);
  if (known !== undefined) return known;
  const opening = open();
  opened.set(key, opening);
  opening.catch(() => opened.delete(key));
  return opening;
}

async function outboundProxyOf(setting: string): Promise<Pick<HttpClientOptions, 'outboundProxy'>> {
  if (setting === 'none') return {};
  if (setting !== 'environment') return { outboundProxy: new URL(setting) };
  const { outboundProxyFor } = await loadNet();
  return { outboundProxy: (origin) => outboundProxyFor(origin, process.env) };
}

async function readAuthorities(paths: readonly string[]): Promise<{ readonly ca?: string }> {
  if (paths.length === 0) return {};
  return { ca: (await Promise.all(paths.map(readPem))).join('\n') };
}

async function readPem(path: string | undefined): Promise<string | undefined> {
  if (path === undefined) return undefined;
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw new SettingsError([`Cannot read ${path}: ${(error as Error).message}`]);
  }
}
