import { PullThrough } from '../cache/index.ts';
import type { Config } from '../config/index.ts';
import { Admission } from '../server/index.ts';
import type { Log, Telemetry, Tracing } from '../telemetry/index.ts';
import { EventLog } from './event-log.ts';
import { HostedContent } from './hosting.ts';
import { Observations } from './observations.ts';
import { listsOf } from './offline.ts';
import { Recording } from './recording.ts';
import { ServerSchedules } from './schedules.ts';
import { cacheOptionsOf } from './settings/index.ts';
import { openStorage, type Storage } from './storage.ts';
import { openTracing } from './tracing.ts';
import { type UpstreamSet, UpstreamSets } from './upstream-set.ts';
import { ServerWebhooks } from './webhooks.ts';

/** What every part of a server is made with. */
export interface PartsContext {
  readonly telemetry: Telemetry;
  readonly log: Log;
  /** Of this program. */
  readonly version: string;
  /** What closes the parts again, in the order they were opened; run in the opposite order. */
  readonly cleanups: (() => unknown)[];
}

/** The parts that live as long as the process; a reload only reconfigures them. */
export interface ServerParts extends PartsContext {
  readonly eventLog: EventLog;
  /** Undefined unless `tracing.endpoint` is set. */
  readonly tracing: Tracing | undefined;
  readonly upstreamSets: UpstreamSets;
  readonly storage: Storage;
  /** What `access suggest` reads; they begin with the first configuration that has rules. */
  readonly observations: Observations;
  /** What was pulled, and what it did. */
  readonly recording: Recording;
  /** Receivers of what happens in hosted repositories. */
  readonly webhooks: ServerWebhooks;
  /** What is fetched by a schedule. */
  readonly schedules: ServerSchedules;
  readonly cache: PullThrough;
  /** What was pushed to this server; opened with the first configuration that hosts something. */
  readonly hosted: HostedContent;
  readonly admission: Admission;
}

/**
 * Opens the parts, and the upstreams of the first generation.
 *
 * @throws {SettingsError} before anything on disk is touched
 * @throws {DirectoryError} {DirectoryInUseError} where the cache directory cannot be used
 */
export async function openParts(
  config: Config,
  context: PartsContext,
): Promise<{ readonly parts: ServerParts; readonly upstreams: UpstreamSet }> {
  const { telemetry, cleanups } = context;
  const eventLog = new EventLog(config, context);
  cleanups.push(() => eventLog.close());
  // Closed after what still makes spans when it stops, and before the log, which says what could not be sent.
  const tracing = await openTracing(config, context);
  const upstreamSets = new UpstreamSets(telemetry);
  cleanups.push(() => upstreamSets.close());
  const upstreams = await upstreamSets.open(config);
  upstreamSets.isOffline = config.offline;
  const storage = await openStorage(config, context);
  upstreamSets.listOfStored = listsOf(storage);
  const observations = new Observations(config, context);
  // Closed after the cache, whose last transfers it counts.
  const recording = new Recording(config, context);
  const webhooks = new ServerWebhooks(config, context);
  const schedules = new ServerSchedules(config, context);
  const { store, metadata, ledger } = storage;
  const { reconciledAt } = ledger;
  const policy = cacheOptionsOf(config, upstreams.catalogue);
  const cache = new PullThrough({ store, metadata, telemetry, ...policy, reconciledAt });
  cleanups.push(async () => {
    await cache.close();
    ledger.reconciledAt = cache.reconciledAt;
  });
  const hosted = new HostedContent(config, { telemetry, storage, cache, cleanups });
  const admission = new Admission({ limits: config.limits, telemetry });
  cleanups.push(() => admission.close());
  const opened = {
    eventLog,
    tracing,
    upstreamSets,
    storage,
    observations,
    recording,
    webhooks,
    schedules,
    cache,
    hosted,
    admission,
  };
  return { parts: { ...context, ...opened }, upstreams };
}
