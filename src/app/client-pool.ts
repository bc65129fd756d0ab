import { readFile } from 'node:fs/promises';
import type { Config } from '../config/index.ts';
import type { HttpClient } from '../net/index.ts';
import type { TlsSpec, TransportSpec } from '../oci/index.ts';
import type { Telemetry } from '../telemetry/index.ts';
import type { Upstreams } from '../upstream/index.ts';
import { OpenOnce } from './open-once.ts';
import { answerTimeoutOf, httpClientOf, loadUpstream, resolverOf, type SharedTransport } from './settings/index.ts';

/** The HTTP clients and the resolver under one set of `transport` options; generations with equal options share it. */
export interface Transport {
  /** Equal for equal options, contents of the files they name included. */
  readonly key: string;
  readonly upstreams: OpenOnce<Upstreams>;
  readonly shared: SharedTransport;
  readonly clients: Clients;
  /** Closes idle connections now, and busy ones after their last request. */
  retire(): Promise<void>;
  /** Closes every connection. */
  close(): Promise<void>;
}

/** The key of a {@link Transport}: options, and the trusted certificates as the file holds them now. */
export async function transportKeyOf(config: Config): Promise<string> {
  const { ca_file: file } = config.transport;
  const authorities = file === undefined ? '' : await readFile(file, 'utf8').catch(() => '');
  return JSON.stringify([config.transport, answerTimeoutOf(config), authorities]);
}

/** @throws {SettingsError} for a bad PEM file */
export async function openTransport(config: Config, telemetry: Telemetry): Promise<Transport> {
  const key = await transportKeyOf(config);
  const resolver = await resolverOf(config, telemetry);
  const shared: SharedTransport = { telemetry, ...(resolver === undefined ? {} : { resolver }) };
  const clients = new Clients(config, shared);
  const upstreams = new OpenOnce(async () => {
    const { createUpstreams } = await loadUpstream();
    return createUpstreams({
      httpClientFor: (tls, client, transport) => clients.get(client, { tls, own: transport }),
      telemetry,
      allowPrivate: config.transport.allow_private,
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

interface MadeClient {
  readonly key: string;
  readonly tls: TlsSpec | undefined;
  readonly client: Promise<HttpClient>;
}

/** The HTTP clients of a {@link Transport}, made at their first request. */
export class Clients {
  readonly #config: Config;
  readonly #shared: SharedTransport;
  readonly #clients = new Map<string, MadeClient>();
  /** Clients that keep no idle connection, until their last one is closed. */
  readonly #retired = new Set<HttpClient>();
  #isOver = false;

  constructor(config: Config, shared: SharedTransport) {
    this.#config = config;
    this.#shared = shared;
  }

  /** @param key equal for upstreams that may share connections */
  async get(
    key: string,
    { tls, own }: { readonly tls: TlsSpec | undefined; readonly own: TransportSpec | undefined },
  ): Promise<HttpClient> {
    // Requests of an older generation use another client than those with new settings.
    const name = `${key}\n${JSON.stringify([tls, own])}`;
    const known = this.#clients.get(name)?.client;
    const client = known ?? httpClientOf(this.#config, { tls, own, shared: this.#shared });
    this.#clients.set(name, { key, tls, client });
    try {
      const made = await client;
      // A request of a retired generation: its client keeps no idle connection either.
      if (this.#isOver && known === undefined) void this.#retire(made);
      return made;
    } catch (error) {
      // A file that cannot be read now may be readable the next time.
      this.#clients.delete(name);
      throw error;
    }
  }

  /** Retires all clients, and those that are made later. Resolves when none is used. */
  retireAll(): Promise<void> {
    this.#isOver = true;
    return this.retire(() => true);
  }

  /** Retires some clients: running requests may still use them, later ones get new clients. Resolves when none is used. */
  async retire(isGone: (made: Pick<MadeClient, 'key' | 'tls'>) => boolean): Promise<void> {
    const retiring: Promise<void>[] = [];
    for (const [name, made] of this.#clients) {
      if (!isGone(made)) continue;
      this.#clients.delete(name);
      retiring.push(made.client.then((client) => this.#retire(client)).catch(() => undefined));
    }
    await Promise.all(retiring);
  }

  async #retire(client: HttpClient): Promise<void> {
    this.#retired.add(client);
    await client.close({ graceful: true });
    this.#retired.delete(client);
  }

  async close(): Promise<void> {
    await Promise.allSettled([
      ...[...this.#clients.values()].map(async ({ client }) => (await client).close()),
      ...[...this.#retired].map((client) => client.close()),
    ]);
  }
}
