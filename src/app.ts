import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Ingest, PullThrough } from './cache/index.ts';
import type { LoadedConfig } from './config/index.ts';
import { deferUpstreams } from './deferred-upstreams.ts';
import { authorityOf, forwardHelpOf, forwardOf } from './forward-settings.ts';
import type { HttpClient } from './net/index.ts';
import type { TlsSpec, TransportSpec } from './oci/index.ts';
import { cacheOperations, scrubOperations } from './operations.ts';
import type { Catalogue } from './routing/index.ts';
import {
  controlSocketPath,
  createControl,
  createDispatch,
  createFrontDoor,
  describeHelp,
  type ListenerAddress,
  type ServerStatus,
} from './server/index.ts';
import {
  answerTimeoutOf,
  cacheOptionsOf,
  catalogueOf,
  frontDoorOptionsOf,
  httpClientOf,
  resolverOf,
  type SharedTransport,
} from './settings.ts';
import {
  type BlobStore,
  lockDirectory,
  MemoryNameStore,
  type NameStore,
  noteCleanStop,
  openFilesystemBlobStore,
  openResilientNameStore,
  openSpoolBlobStore,
  takeCleanStop,
} from './store/index.ts';
import { createMetrics, type Log, logEvents, Telemetry } from './telemetry/index.ts';

/** A server that runs. */
export interface App {
  readonly listeners: readonly ListenerAddress[];
  readonly catalogue: Catalogue;
  status(): Promise<ServerStatus>;
  /**
   * Takes no new connections, lets running pulls finish within `timeouts.shutdown_timeout`, cuts the rest and puts
   * everything away. Resolves with the number of pulls cut; called again, it cuts at once.
   */
  stop(): Promise<{ readonly cut: number }>;
}

export interface AppOptions {
  readonly log: Log;
  /** Of this program; shown by /help, /metrics and `entrepot status`. */
  readonly version: string;
}

/**
 * Builds a server from its configuration and starts it, in the order a reader needs: where bytes rest, who is asked, what
 * is kept, what a name means, who is let in, which sockets.
 *
 * @throws {SettingsError} {DirectoryError} {DirectoryInUseError} {ListenError} each with a remedy in its message; whatever
 * was opened by then is closed again
 */
export async function startApp(loaded: LoadedConfig, { log, version }: AppOptions): Promise<App> {
  const { config, source } = loaded;
  const startedAt = Date.now();
  // What is to be put away again, in the order it was set up.
  const cleanups: (() => unknown)[] = [];
  async function putAway(): Promise<void> {
    for (const cleanup of cleanups.splice(0).toReversed()) {
      try {
        await cleanup();
      } catch (error) {
        log.warn('could not put everything away', { error });
      }
    }
  }

  try {
    const telemetry = new Telemetry();
    cleanups.push(logEvents(telemetry, log, { access: config.log.access }));
    const catalogue = await catalogueOf(config);
    const { ledger, ...storage } = await openStorage(config, telemetry, cleanups);

    const resolver = await resolverOf(config, telemetry);
    cleanups.push(() => resolver?.close());
    const shared: SharedTransport = { telemetry, ...(resolver === undefined ? {} : { resolver }) };
    const clients = new Clients(config, shared);
    cleanups.push(() => clients.close());
    const origin = deferUpstreams(async () => {
      const { createUpstreams } = await import('./upstream/index.ts');
      return createUpstreams({
        httpClientFor: (tls, key, transport) => clients.get(key, { tls, own: transport }),
        telemetry,
        allowPrivate: config.transport.allow_private,
        find: (registry) => catalogue.byName(registry),
        answerTimeout: answerTimeoutOf(config),
      });
    });
    cleanups.push(() => origin.close());
    const upstreams = () =>
      catalogue.list().flatMap(({ name }) => origin.healthOf(name).map((each) => ({ registry: name, ...each })));

    const cache = new PullThrough({
      origin,
      ...storage,
      telemetry,
      ...cacheOptionsOf(config),
      countedAt: ledger.countedAt,
    });
    cleanups.push(async () => {
      await cache.close();
      ledger.countedAt = cache.countedAt;
    });

    let isReady = false;
    const configured = new Set(catalogue.list().map(({ name }) => name));
    const metrics = createMetrics(telemetry, {
      version,
      isConfigured: (registry) => configured.has(registry),
      inFlight: () => frontDoor.inFlight,
      connections: () => frontDoor.connections,
      transfers: () => [...cache.transfers].length,
      cache: () => cache.totals(),
      paused: () => cache.pause !== undefined,
      upstreams,
      ...(config.forward_proxy.enabled && { tunnels: () => forward?.tunnels ?? 0 }),
    });
    const authority = await authorityOf(config, log);
    const help = { catalogue, publicUrl: config.public_url, version, forward: forwardHelpOf(config) };
    const dispatch = createDispatch({
      catalogue,
      cache,
      telemetry,
      ready: () => isReady,
      metrics: () => metrics.text(),
      help: (request) => describeHelp(help, request),
      authority: authority?.cert,
    });
    const ownPorts = new Set<number>();
    const forwardParts = { catalogue, telemetry, shared, authority, dispatch, ownPorts: () => ownPorts };
    const forward = await forwardOf(config, forwardParts);
    const frontDoor = createFrontDoor({
      ...frontDoorOptionsOf(config),
      handler: dispatch,
      forward,
      onWarning: (message, error) => telemetry.publish('warning', { message, error }),
    });
    cleanups.push(() => frontDoor.stop({ timeoutMs: 0 }));
    const listeners = await frontDoor.start();
    for (const { port } of listeners) if (port !== undefined) ownPorts.add(port);
    isReady = true;

    async function status(): Promise<ServerStatus> {
      return {
        version,
        pid: process.pid,
        startedAt,
        uptimeSeconds: Math.round((Date.now() - startedAt) / 1000),
        listeners: listeners.map(({ protocol, address }) =>
          address.startsWith('unix:') ? address : `${protocol}://${address}`,
        ),
        configSource: source,
        cache:
          config.cache === 'off'
            ? 'off'
            : {
                dir: config.cache.dir,
                ...(await cache.totals()),
                ...(config.cache.max_size === undefined ? {} : { maxSize: config.cache.max_size }),
                ...(cache.pause === undefined ? {} : { paused: cache.pause }),
              },
        transfers: [...cache.transfers].map(describeTransfer),
        upstreams: upstreams(),
      };
    }
    if (config.cache !== 'off') {
      const control = createControl({
        path: controlSocketPath(config.cache.dir),
        operations: [
          { name: 'status', method: 'GET', handle: status },
          ...cacheOperations(cache, { catalogue, names: storage.names }),
          ...scrubOperations(cache.scrub),
        ],
      });
      cleanups.push(() => control.close());
      await control.start();
      // Beside the first requests: a crash may have left files that nobody counts, or the names were lost.
      if (cache.isStockDue) cache.takeStock();
    }

    let stopping: Promise<{ cut: number }> | undefined;
    async function drain(): Promise<{ cut: number }> {
      const drained = await frontDoor.stop({ timeoutMs: config.timeouts.shutdown_timeout });
      await putAway();
      return drained;
    }
    return {
      listeners,
      catalogue,
      status,
      stop() {
        isReady = false;
        // A second call only shortens the time: the front door then cuts what still runs.
        if (stopping !== undefined) void frontDoor.stop({ timeoutMs: 0 });
        stopping ??= drain();
        return stopping;
      },
    };
  } catch (error) {
    await putAway();
    throw error;
  }
}

/** The clients towards upstreams, made when they are first asked for and closed together. */
class Clients {
  readonly #config: LoadedConfig['config'];
  readonly #shared: SharedTransport;
  readonly #clients = new Map<string, Promise<HttpClient>>();

  constructor(config: LoadedConfig['config'], shared: SharedTransport) {
    this.#config = config;
    this.#shared = shared;
  }

  /** @param key what may share connections has the same */
  async get(
    key: string,
    settings: { readonly tls: TlsSpec | undefined; readonly own: TransportSpec | undefined },
  ): Promise<HttpClient> {
    const client = this.#clients.get(key) ?? httpClientOf(this.#config, { ...settings, shared: this.#shared });
    this.#clients.set(key, client);
    try {
      return await client;
    } catch (error) {
      // A file that cannot be read now may be there next time.
      this.#clients.delete(key);
      throw error;
    }
  }

  async close(): Promise<void> {
    await Promise.allSettled([...this.#clients.values()].map(async (client) => (await client).close()));
  }
}

/** What is handed from one server of a cache directory to the next. */
interface Ledger {
  /** When rows and files were last found to agree; undefined where nobody knows that they do. */
  countedAt: number | undefined;
}

interface Storage {
  readonly store: BlobStore;
  readonly names: NameStore;
  readonly ledger: Ledger;
}

/** Opens the cache directory as its only owner, or a place for what only passes through. */
async function openStorage(
  config: LoadedConfig['config'],
  telemetry: Telemetry,
  cleanups: (() => unknown)[],
): Promise<Storage> {
  const ledger: Ledger = { countedAt: undefined };
  if (config.cache === 'off') {
    const spool = await mkdtemp(join(tmpdir(), 'entrepot-'));
    cleanups.push(() => rm(spool, { recursive: true, force: true }));
    return { store: await openSpoolBlobStore(spool), names: new MemoryNameStore(), ledger };
  }
  const { dir } = config.cache;
  const lock = await lockDirectory(dir);
  cleanups.push(() => lock.release());
  const left = await takeCleanStop(dir);
  ledger.countedAt = left?.countedAt;
  cleanups.push(() => ledger.countedAt !== undefined && noteCleanStop(dir, { countedAt: ledger.countedAt }));
  const store = await openFilesystemBlobStore(dir);
  const stopListening = telemetry.on('names.recovered', () => {
    ledger.countedAt = undefined;
  });
  const names = await openResilientNameStore({ file: join(dir, 'names.db'), telemetry }).finally(stopListening);
  cleanups.push(() => names.close());
  return { store, names, ledger };
}

function describeTransfer(ingest: Ingest): ServerStatus['transfers'][number] {
  const { id, repository, digest, upstream, written, size, followers, startedAt } = ingest;
  return {
    id,
    registry: repository.registry,
    repository: repository.repository,
    digest,
    upstream,
    bytes: written,
    ...(size === undefined ? {} : { size }),
    followers,
    startedAt,
  };
}
