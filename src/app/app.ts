import { setTimeout as sleep } from 'node:timers/promises';
import { controlSocketPath, createControl, describeServer, OPERATIONS, type ServerStatus } from '../admin/index.ts';
import { PullThrough } from '../cache/index.ts';
import type { LoadedConfig } from '../config/index.ts';
import type { Catalogue } from '../routing/index.ts';
import { Admission, type Forward, FrontDoor, type ListenerAddress } from '../server/index.ts';
import { createMetrics, type Log, logEvents, Telemetry } from '../telemetry/index.ts';
import { createGeneration, describeUpstreams, type Generation, type ProcessContext } from './generation.ts';
import { type ReloadAnswer, Reloader } from './reload.ts';
import { admissionLimitsOf, authorityOf, cacheOptionsOf, frontDoorOptionsOf, logFormatOf } from './settings/index.ts';
import { openStorage } from './storage.ts';
import { originOf, UpstreamSets } from './upstream-set.ts';

/** A server that runs. */
export interface App {
  readonly listeners: readonly ListenerAddress[];
  /** The registries that can be named now. */
  readonly catalogue: Catalogue;
  status(): Promise<ServerStatus>;
  /**
   * Reads the configuration again and takes up what needs no restart: whole, or not at all. What is wrong with it is in the
   * answer; it never rejects.
   */
  reload(): Promise<ReloadAnswer>;
  /**
   * Is not ready any more, but serves as before for `timeouts.drain_delay`. Then takes no new connections, lets running
   * pulls finish within `timeouts.shutdown_timeout`, cuts the rest and puts everything away. Resolves with the number of
   * pulls cut; called again, it cuts at once.
   */
  stop(): Promise<{ readonly cut: number }>;
}

export interface AppOptions {
  readonly log: Log;
  /** Of this program; shown by /help, /metrics and `entrepot status`. */
  readonly version: string;
  /** Reads the configuration again, for a reload. @default it is the one it was started with */
  readonly load?: () => Promise<LoadedConfig>;
}

/**
 * Builds a server from its configuration and starts it, in the order a reader needs: who is asked, where bytes rest, what
 * is kept, what follows from the configuration, which sockets.
 *
 * What stands for the life of the process (storage, cache, metrics, sockets) is made here; what another configuration
 * replaces is a {@link Generation}.
 *
 * @throws {SettingsError} {DirectoryError} {DirectoryInUseError} {ListenError} each with a remedy in its message; whatever
 * was opened by then is closed again
 */
export async function startApp(loaded: LoadedConfig, { log, version, load }: AppOptions): Promise<App> {
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
    let stopLogging = logEvents(telemetry, log, { access: config.log.access });
    cleanups.push(() => stopLogging());
    const reaches = new UpstreamSets(telemetry);
    cleanups.push(() => reaches.close());
    const reach = await reaches.open(config);
    const { ledger, ...storage } = await openStorage(config, telemetry, cleanups);

    const cache = new PullThrough({
      ...storage,
      telemetry,
      ...cacheOptionsOf(config),
      reconciledAt: ledger.reconciledAt,
    });
    cleanups.push(async () => {
      await cache.close();
      ledger.reconciledAt = cache.reconciledAt;
    });

    const admission = new Admission({ limits: admissionLimitsOf(config), telemetry });
    cleanups.push(() => admission.close());
    let isReady = false;
    const openTunnels = { count: 0 };
    const metrics = createMetrics(telemetry, {
      version,
      isConfigured: (registry) => live.current.registries.has(registry),
      inFlight: () => frontDoor.inFlight,
      connections: () => frontDoor.connections,
      admission,
      transfers: () => [...cache.transfers].length,
      cache: () => cache.totals(),
      paused: () => cache.pause !== undefined,
      upstreams: () => describeUpstreams(live.current),
      ...(frontDoorOptionsOf(config).listeners.some(({ tls }) => tls !== undefined) && {
        certificates: () => frontDoor.certificates,
      }),
      ...(config.forward_proxy.enabled && { tunnels: () => openTunnels.count }),
    });
    const ownPorts = new Set<number>();
    const processContext: ProcessContext = {
      telemetry,
      cache,
      authority: await authorityOf(config, log),
      version,
      ready: () => isReady,
      admission,
      metrics: () => metrics.text(),
      ownPorts: () => ownPorts,
      openTunnels,
    };
    // Swapped as a whole, so that no request sees a mixture. A request keeps the generation that it began with.
    const live = { current: await createGeneration({ config, source, reach }, processContext) };
    const frontDoor = new FrontDoor({
      ...frontDoorOptionsOf(config),
      handler: (request, response) => live.current.handle(request, response),
      forward: config.forward_proxy.enabled ? forwardBy(live) : undefined,
      onRenewed: (certificate) => telemetry.publish('certificate.renewed', certificate),
      onWarning: (message, error) => telemetry.publish('warning', { message, error }),
    });
    cleanups.push(() => frontDoor.stop({ timeoutMs: 0 }));
    const listeners = await frontDoor.start();
    for (const { port } of listeners) if (port !== undefined) ownPorts.add(port);
    isReady = true;

    async function apply(next: Pick<LoadedConfig, 'config' | 'source'>): Promise<Catalogue> {
      const before = live.current;
      const reached = await reaches.open(next.config, before.reach);
      let generation: Generation;
      let renewCertificates: () => void;
      try {
        generation = await createGeneration({ ...next, reach: reached }, processContext);
        renewCertificates = await frontDoor.prepareCertificates();
      } catch (error) {
        reaches.abandon(reached, before.reach);
        throw error;
      }
      const policy = cacheOptionsOf(next.config);
      const door = frontDoorOptionsOf(next.config);
      const limits = admissionLimitsOf(next.config);
      // From here on nothing fails, and nothing waits: whoever comes next finds all of it.
      live.current = generation;
      renewCertificates();
      cache.reconfigure(policy);
      if (!reaches.isSame(before.reach, reached)) cache.clearFailures();
      frontDoor.adjust(door);
      admission.reconfigure(limits);
      const { log: now } = next.config;
      const { log: was } = before.config;
      if (now.level !== was.level) log.setLevel(now.level);
      if (now.format !== was.format) log.setFormat(logFormatOf(next.config));
      stopLogging();
      stopLogging = logEvents(telemetry, log, { access: now.access });
      reaches.leave(before.reach, reached);
      return reached.catalogue;
    }
    const reloader = new Reloader({
      load: load ?? (() => Promise.resolve(loaded)),
      running: () => ({ ...live.current, catalogue: live.current.reach.catalogue }),
      apply,
      log,
      telemetry,
    });

    const status = (): Promise<ServerStatus> =>
      describeServer({
        config: live.current.config,
        source: live.current.source,
        upstreams: describeUpstreams(live.current),
        admission,
        cache,
        version,
        listeners,
        startedAt,
      });
    if (config.cache !== 'off') {
      const control = createControl({
        path: controlSocketPath(config.cache.dir),
        operations: Object.values(OPERATIONS),
        context: {
          cache,
          metadata: storage.metadata,
          originFor: (name: string) => {
            const { reach } = live.current;
            const registry = reach.catalogue.byName(name);
            if (registry === undefined) throw new Error(`no registry is called ${name}`);
            return originOf(reach, registry);
          },
          get catalogue() {
            return live.current.reach.catalogue;
          },
          status,
          reload: () => reloader.reload(),
        },
      });
      cleanups.push(() => control.close());
      await control.start();
      // Beside the first requests: a crash may have left files that nobody counts, or the names were lost.
      if (cache.isReconciliationDue) cache.reconcile();
    }

    let stopping: Promise<{ cut: number }> | undefined;
    const hurry = new AbortController();
    async function drain(): Promise<{ cut: number }> {
      const { drain_delay: delay, shutdown_timeout: timeoutMs } = live.current.config.timeouts;
      // Whoever sends us requests is to see first that we are not ready: refused now, they would have been lost.
      if (delay > 0) await sleep(delay, undefined, { signal: hurry.signal }).catch(() => {});
      const [drained] = await Promise.all([frontDoor.stop({ timeoutMs }), reloader.close()]);
      await putAway();
      return drained;
    }
    return {
      listeners,
      get catalogue() {
        return live.current.reach.catalogue;
      },
      status,
      reload: () => reloader.reload(),
      stop() {
        isReady = false;
        // A second call only shortens the time: the front door then cuts what still runs.
        if (stopping !== undefined) hurry.abort();
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

/** The forward proxy of the configuration that is current when it is asked. */
function forwardBy(live: { readonly current: Generation }): Forward {
  return {
    handle: (request, response) => live.current.forward?.handle(request, response),
    handleDecrypted: (...asked) => live.current.forward?.handleDecrypted(...asked),
    connect: (...asked) => live.current.forward?.connect(...asked),
    get tunnels() {
      return live.current.forward?.tunnels ?? 0;
    },
  };
}
