import type { Config } from '../config/index.ts';
import type { HttpClient } from '../net/index.ts';
import type { UpstreamSpec } from '../oci/index.ts';
import type { Telemetry } from '../telemetry/index.ts';
import type { ClientQuery, Upstreams } from '../upstream/index.ts';
import { OpenOnce } from './open-once.ts';
import { answerTimeoutOf, httpClientOf, loadUpstream, resolverOf, type SharedTransport } from './settings/index.ts';

/** The HTTP clients and the resolver under one `transport` section; generations with an equal section share it. */
export interface Transport {
  /** See {@link transportKeyOf}. */
  readonly key: string;
  readonly upstreams: OpenOnce<Upstreams>;
  readonly shared: SharedTransport;
  readonly clients: Clients;
  /** Closes idle connections now, and busy ones after their last request. */
  retire(): Promise<void>;
  /** Closes every connection. */
  close(): Promise<void>;
}

/** Equal for settings that reach upstreams alike, the contents of the trusted authorities included. */
export function transportKeyOf(config: Config, files: ReadonlyMap<string, string>): string {
  return JSON.stringify([config.transport, answerTimeoutOf(config), files.get(config.transport.caFile ?? '')]);
}

/** @param key see {@link transportKeyOf} @throws {SettingsError} for a bad PEM file */
export async function openTransport(
  config: Config,
  { key, telemetry }: { readonly key: string; readonly telemetry: Telemetry },
): Promise<Transport> {
  const resolver = await resolverOf(config, telemetry);
  const shared: SharedTransport = { telemetry, ...(resolver === undefined ? {} : { resolver }) };
  const clients = new Clients(config, shared);
  const upstreams = new OpenOnce(async () => {
    const { createUpstreams } = await loadUpstream();
    return createUpstreams({
      httpClientFor: (query) => clients.get(query),
      telemetry,
      allowPrivate: config.transport.allowPrivate,
      answerTimeout: answerTimeoutOf(config),
    });
  });
  return {
    key,
    upstreams,
    shared,
    clients,
    async retire(): Promise<void> {
      await clients.retireAll();
      resolver?.close({ graceful: true });
    },
    async close(): Promise<void> {
      upstreams.close();
      await clients.close();
      resolver?.close();
    },
  };
}

/** The open clients of upstreams: opened on first use, each upstream with its own, for each of its destinations. */
export class Clients {
  readonly #config: Config;
  readonly #shared: SharedTransport;
  /** The key is undefined for upstreams without settings or credentials of their own, which share one client. */
  readonly #clients = new Map<UpstreamSpec | undefined, Map<string, Promise<HttpClient>>>();
  /** Closing: each until its last connection has ended. */
  readonly #retired = new Set<HttpClient>();
  #isOver = false;

  constructor(config: Config, shared: SharedTransport) {
    this.#config = config;
    this.#shared = shared;
  }

  /** @throws {SettingsError} for a bad PEM file; the next call reads it again */
  async get({ spec, destination, tls }: ClientQuery): Promise<HttpClient> {
    const { transport: own, credentials } = spec;
    const isPlain = spec.tls === undefined && own === undefined && credentials === undefined;
    const owner = isPlain ? undefined : spec;
    const name = isPlain ? '' : destination;
    const clients = this.#clients.get(owner) ?? new Map<string, Promise<HttpClient>>();
    this.#clients.set(owner, clients);
    const known = clients.get(name);
    const client = known ?? httpClientOf(this.#config, { tls, own, shared: this.#shared });
    clients.set(name, client);
    try {
      const opened = await client;
      // Requests of a retired generation may still open clients, which then keep no idle connections either.
      if (this.#isOver && known === undefined) void this.#retire(opened);
      return opened;
    } catch (error) {
      clients.delete(name);
      throw error;
    }
  }

  /** Closes all clients, those yet to be opened included, as their requests end. Resolves when all are closed. */
  retireAll(): Promise<void> {
    this.#isOver = true;
    return this.retire(this.#clients.keys());
  }

  /** Closes the clients of these upstreams as their requests end. Resolves when all are closed. */
  async retire(upstreams: Iterable<UpstreamSpec | undefined>): Promise<void> {
    const retiring: Promise<void>[] = [];
    for (const spec of upstreams) {
      const clients = this.#clients.get(spec)?.values() ?? [];
      this.#clients.delete(spec);
      for (const client of clients) {
        retiring.push(client.then((opened) => this.#retire(opened)).catch(() => undefined));
      }
    }
    await Promise.all(retiring);
  }

  async #retire(client: HttpClient): Promise<void> {
    this.#retired.add(client);
    await client.close({ graceful: true });
    this.#retired.delete(client);
  }

  async close(): Promise<void> {
    const open = [...this.#clients.values()].flatMap((clients) => [...clients.values()]);
    await Promise.allSettled([
      ...open.map(async (client) => (await client).close()),
      ...[...this.#retired].map((client) => client.close()),
    ]);
  }
}
