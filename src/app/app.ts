import { setTimeout as sleep } from 'node:timers/promises';
import type { Tokens } from '../access/index.ts';
import type { ServerStatus } from '../admin/index.ts';
import { Canary } from '../canary/index.ts';
import type { Config, LoadedConfig } from '../config/index.ts';
import { createPseudonym } from '../lib/index.ts';
import type { Catalogue } from '../routing/index.ts';
import { type Forward, FrontDoor, type ListenerAddress } from '../server/index.ts';
import { type ConfigReloaded, createMetrics, type Log, Telemetry } from '../telemetry/index.ts';
import { openAcme } from './acme.ts';
import { openApi } from './api.ts';
import { applyConfig, type Live, type ReloadTarget } from './apply-config.ts';
import { createGeneration, describeUpstreams, type Generation, type ProcessContext } from './generation.ts';
import { openParts, type ServerParts } from './parts.ts';
import { Reloader } from './reload.ts';
import type { RunningServer } from './running-server.ts';
import {
  acmeSpecsOf,
  authorityOf,
  checkOwnFiles,
  diskReadingOf,
  frontDoorOptionsOf,
  keepAccounts,
  loadGuard,
} from './settings/index.ts';

/** A running server. */
export interface App {
  readonly listeners: readonly ListenerAddress[];
  /** The registries of the current configuration. */
  readonly catalogue: Catalogue;
  status(): Promise<ServerStatus>;
  /**
   * Reads the configuration again and takes up what needs no restart: whole, or not at all. Problems are in the answer, with
   * file, line and option where they are known; it never rejects.
   */
  reload(): Promise<ConfigReloaded>;
  /**
   * Reports not ready, but serves as before for `timeouts.drain_delay`. Then takes no new connections, lets running pulls
   * finish within `timeouts.shutdown_timeout`, cuts the rest and closes everything. Resolves with the number of pulls cut;
   * called again, it cuts at once.
   */
  stop(): Promise<{ readonly cut: number }>;
}

export interface AppOptions {
  readonly log: Log;
  /** Of this program; shown by /help, /metrics and `entrepot status`. */
  readonly version: string;
  /** Reads the configuration again, for a reload. @default the configuration of the start */
  readonly load?: () => Promise<LoadedConfig>;
}

/**
 * Builds a server from its configuration and starts it.
 *
 * {@link ServerParts} live as long as the process; a reload replaces the {@link Generation}.
 *
 * @throws {SettingsError} {DirectoryError} {DirectoryInUseError} {ListenError} each with a remedy in its message; whatever
 * was opened by then is closed again
 */
export async function startApp(loaded: LoadedConfig, options: AppOptions): Promise<App> {
  const { log } = options;
  const cleanups: (() => unknown)[] = [];
  async function cleanUp(): Promise<void> {
    for (const cleanup of cleanups.splice(0).toReversed()) {
      try {
        await cleanup();
      } catch (error) {
        log.warn('could not close everything', { error });
      }
    }
  }
  try {
    const { version } = options;
    const opened = await openParts(loaded.config, { telemetry: new Telemetry(), log, version, cleanups });
    return await start(loaded, { ...options, ...opened, cleanUp });
  } catch (error) {
    await cleanUp();
    throw error;
  }
}

type StartOptions = AppOptions & Pick<RunningServer, 'parts' | 'cleanUp'> & Pick<Generation, 'upstreams'>;

async function start(loaded: LoadedConfig, options: StartOptions): Promise<App> {
  const { config } = loaded;
  const { log, version, load, parts, upstreams, cleanUp } = options;
  const startedAt = Date.now();
  const readiness = { isReady: false };
  const started = Promise.withResolvers<RunningServer>();
  let operating: ReturnType<typeof loadOperating> | undefined;
  // Once: Node resolves the file again at each import, and an upgrade may have replaced it.
  const operate = () => (operating ??= loadOperating());
  const ownPorts = new Set<number>();
  const openTunnels = { count: 0 };
  const metrics = openMetrics(config, { parts, version, readiness, openTunnels, target: () => target });
  const acme = await openAcme(config, { ...parts, live: () => target.live, frontDoor: () => target.frontDoor });
  const processContext: ProcessContext = {
    ...parts,
    acme,
    authority: await authorityOf(config, log),
    version,
    ready: () => readiness.isReady,
    metrics: () => metrics.text(),
    ownPorts: () => ownPorts,
    openTunnels,
    accounts: config.cache === 'off' ? undefined : keepAccounts(config.cache.dir, parts),
    tokens: keepTokens(),
    pseudonym: createPseudonym(),
    canary: new Canary(),
    api: openApi({ server: started.promise, loadOperating: operate }),
  };
  const live: Live = { current: await createGeneration({ ...loaded, upstreams }, processContext) };
  const frontDoor = openFrontDoor(live, { ...parts, acme });
  parts.hosted.follow(config, upstreams.catalogue);
  // Complete before the first listener opens: a request for /metrics may come before the last one has opened.
  const target: ReloadTarget = { live, parts, frontDoor, processContext };
  const reloader = openReloader(target, load ?? (() => Promise.resolve(loaded)));
  await checkOwnFiles(config);
  (await parts.webhooks.prepare(config))();
  const listeners = await frontDoor.start();
  const server: RunningServer = { ...target, version, startedAt, listeners, reloader, cleanUp, readiness };
  started.resolve(server);
  for (const { port } of listeners) if (port !== undefined) ownPorts.add(port);
  readiness.isReady = true;
  if (acme !== undefined) {
    parts.cleanups.push(() => acme.close());
    // From now on challenges are answered.
    void acme.configure(acmeSpecsOf(config));
  }
  // Loading takes the event loop for some 20 ms, in which the clients that waited for the start would wait on.
  await sleep(FIRST_REQUESTS_MS);
  await (await operate()).openControl(server);
  void parts.recording.open();
  // While the first requests are served: a crash may have left uncounted files, or the metadata database was lost.
  if (config.cache !== 'off' && parts.cache.isReconciliationDue) parts.cache.reconcile();
  return {
    listeners,
    get catalogue() {
      return live.current.upstreams.catalogue;
    },
    status: async () => (await operate()).statusOf(server),
    reload: () => reloader.reload(),
    stop: stopperOf(server),
  };
}

/** `cache.max_size` in bytes. */
function limitOf({ cache }: Config): number | undefined {
  return cache === 'off' ? undefined : cache.maxSize;
}

/** The tokens of this process, made when they are first needed. */
function keepTokens(): () => Promise<Tokens> {
  let made: Promise<Tokens> | undefined;
  return () => {
    made ??= loadGuard().then(({ Tokens }) => new Tokens());
    return made;
  };
}

interface MetricsParts
  extends Pick<RunningServer, 'parts' | 'version' | 'readiness'>,
    Pick<ProcessContext, 'openTunnels'> {
  /** Called when metrics are read, which no request can before the listeners open. */
  readonly target: () => ReloadTarget;
}

function openMetrics(
  config: Config,
  {
    parts: { telemetry, admission, cache, hosted, schedules, upstreamSets, webhooks },
    version,
    readiness,
    openTunnels,
    target,
  }: MetricsParts,
): ReturnType<typeof createMetrics> {
  return createMetrics(telemetry, {
    version,
    isConfigured: (registry) => target().live.current.registries.has(registry),
    inFlight: () => target().frontDoor.inFlight,
    connections: () => target().frontDoor.connections,
    admission,
    transfers: () => [...cache.transfers].length,
    cache: () => cache.totals(),
    partials: () => cache.partialTotals(),
    hosted: () => hosted.read(),
    uploads: () => hosted.uploads,
    ...(config.cache !== 'off' && { cacheLimit: () => limitOf(target().live.current.config) }),
    ...diskReadingOf(config),
    ready: () => readiness.isReady && !admission.overloaded,
    paused: () => cache.pause !== undefined,
    upstreams: () => describeUpstreams(target().live.current, upstreamSets),
    webhooks: () => webhooks.queues,
    schedules: () => schedules.readings(),
    ...(frontDoorOptionsOf(config).listeners.some(({ tls }) => tls !== undefined) && {
      certificates: () => target().frontDoor.certificates,
    }),
    ...(config.forwardProxy.enabled && { tunnels: () => openTunnels.count }),
  });
}

function openFrontDoor(
  live: Live,
  { telemetry, cleanups, acme }: ServerParts & Pick<ProcessContext, 'acme'>,
): FrontDoor {
  const { config } = live.current;
  const frontDoor = new FrontDoor({
    ...frontDoorOptionsOf(config),
    handler: (request, response) => live.current.handle(request, response),
    adminHandler: (request, response) => (live.current.handleAdmin ?? live.current.handle)(request, response),
    forward: config.forwardProxy.enabled ? currentForward(live) : undefined,
    isNeverRedirected: acme === undefined ? undefined : (asked) => acme.isChallenge(asked),
    onRenewed: (certificate) => telemetry.publish('certificate.renewed', certificate),
    onWarning: (message, error) => telemetry.publish('warning', { message, error }),
  });
  cleanups.push(() => frontDoor.stop({ timeoutMs: 0 }));
  return frontDoor;
}

/** The forward proxy of the current generation. */
function currentForward(live: Live): Forward {
  return {
    handle: (request, response) => live.current.forward?.handle(request, response),
    handleDecrypted: (...asked) => live.current.forward?.handleDecrypted(...asked),
    connect: (...asked) => live.current.forward?.connect(...asked),
    get tunnels() {
      return live.current.forward?.tunnels ?? 0;
    },
  };
}

function openReloader(target: ReloadTarget, load: () => Promise<LoadedConfig>): Reloader {
  const { live, parts } = target;
  return new Reloader({
    load,
    running: () => live.current,
    apply: (next) => applyConfig(next, target),
    telemetry: parts.telemetry,
  });
}

function stopperOf({
  live,
  parts,
  frontDoor,
  processContext,
  reloader,
  cleanUp,
  readiness,
}: RunningServer): App['stop'] {
  const hurry = new AbortController();
  let stopping: Promise<{ cut: number }> | undefined;
  async function drain(): Promise<{ cut: number }> {
    const { drainDelay: delay, shutdownTimeout: timeoutMs } = live.current.config.timeouts;
    // Gives a load balancer time to see that the server is not ready, before connections are refused.
    if (delay > 0) await sleep(delay, undefined, { signal: hurry.signal }).catch(() => {});
    processContext.api.endStreams();
    parts.tracing?.stopBy(performance.now() + timeoutMs);
    const [drained] = await Promise.all([frontDoor.stop({ timeoutMs }), reloader.close()]);
    await cleanUp();
    return drained;
  }
  return () => {
    readiness.isReady = false;
    // A second call only shortens the time: the front door then cuts what still runs.
    if (stopping !== undefined) {
      hurry.abort();
      void frontDoor.stop({ timeoutMs: 0 });
    }
    stopping ??= drain();
    return stopping;
  };
}

/** Milliseconds for the first requests, before what operators ask is loaded. */
const FIRST_REQUESTS_MS = 25;

/** What operators ask of a server is loaded once it serves. */
const loadOperating = (): Promise<typeof import('./operating/index.ts')> => import('./operating/index.ts');
