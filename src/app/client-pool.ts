import { readFile } from 'node:fs/promises';
import type { Config } from '../config/index.ts';
import type { HttpClient } from '../net/index.ts';
import type { TlsSpec, TransportSpec } from '../oci/index.ts';
import type { Telemetry } from '../telemetry/index.ts';
import type { Upstreams } from '../upstream/index.ts';
import { OpenOnce } from './open-once.ts';
import { answerTimeoutOf, httpClientOf, loadUpstream, resolverOf, type SharedTransport } from './settings/index.ts';

/** The way to other registries: one for all that are reached under the same settings, however often these are read again. */
export interface Transport {
  /** The same for the same settings, files they name included. */
  readonly key: string;
  readonly upstreams: OpenOnce<Upstreams>;
  readonly shared: SharedTransport;
  readonly clients: Clients;
  /** Closes what is unused now, and the rest when it is no longer used. */
  retire(): Promise<void>;
  /** Closes every connection. */
  close(): Promise<void>;
}

/** Tells settings apart, with the authorities that are trusted: the file may hold others than it did. */
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

interface ClientSettings {
  readonly tls: TlsSpec | undefined;
  readonly own: TransportSpec | undefined;
}

interface MadeClient {
  readonly key: string;
  readonly tls: TlsSpec | undefined;
  readonly client: Promise<HttpClient>;
}

/** The clients towards upstreams, made when they are first asked for. */
export class Clients {
  readonly #config: Config;
  readonly #shared: SharedTransport;
  readonly #clients = new Map<string, MadeClient>();
  /** Those that keep nothing any more, until their last connection is gone. */
  readonly #retired = new Set<HttpClient>();
  #isOver = false;

  constructor(config: Config, shared: SharedTransport) {
    this.#config = config;
    this.#shared = shared;
  }

  /** @param key what may share connections has the same */
  async get(key: string, { tls, own }: ClientSettings): Promise<HttpClient> {
    // Whoever still goes by older settings has another client than those who go by new ones.
    const name = `${key}\n${JSON.stringify([tls, own])}`;
    const known = this.#clients.get(name)?.client;
    const client = known ?? httpClientOf(this.#config, { tls, own, shared: this.#shared });
    this.#clients.set(name, { key, tls, client });
    try {
      const made = await client;
      // For whoever began before it was over: what is made for them keeps nothing either.
      if (this.#isOver && known === undefined) void this.#retire(made);
      return made;
    } catch (error) {
      // A file that cannot be read now may be there next time.
      this.#clients.delete(name);
      throw error;
    }
  }

  /** Closes all clients as they are no longer used, and those that are yet to be made. Resolves when none is used. */
  retireAll(): Promise<void> {
    this.#isOver = true;
    return this.retire(() => true);
  }

  /** Closes such clients as they are no longer used; who has one can still ask it. Resolves when none is. */
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
