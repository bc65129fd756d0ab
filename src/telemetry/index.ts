/**
 * What is said about a running server: the catalogue of events, and the logs and metrics that are made of them.
 *
 * It formats every log line; it never decides anything, and nothing it does can fail a request.
 */

export { formatBytes } from './console-format.ts';
export {
  type CacheOutcome,
  type ConfigReloaded,
  type Events,
  type MitmHandshakeFailed,
  type RequestFinished,
  Telemetry,
  type UpstreamHealthChange,
  type UpstreamQuota,
  type UpstreamRequestEnded,
} from './events.ts';
export { loadPromClient } from './load-prom-client.ts';
export { createLog, type Log, type LogFormat } from './log.ts';
export { logEvents } from './log-subscriber.ts';
export { createMetrics } from './metrics.ts';
export { redactText, redactUrl } from './redact.ts';
