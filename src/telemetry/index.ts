/**
 * The catalogue of events of a running server, and the log, the metrics and the traces made of them.
 *
 * It formats every log line. It never makes a decision, and it never fails a request.
 */

export { formatBytes } from './console-format.ts';
export {
  type AccessOutcome,
  type AccessVerdict,
  type BlockKind,
  type BodyMeter,
  type CacheOutcome,
  type ConfigReloaded,
  type Events,
  type PullTarget,
  type PullUnderWay,
  type RequestFinished,
  Telemetry,
  type UpstreamHealthChange,
  type UpstreamQuota,
  type UpstreamRequestEnded,
} from './events.ts';
export { loadPromClient } from './load-prom-client.ts';
export { loadTracing } from './load-tracing.ts';
export { createLog, type Log, type LogFormat } from './log.ts';
export { logEvents } from './log-subscriber.ts';
export { createMetrics, type MetricsOptions } from './metrics.ts';
export { redactText, redactUrl } from './redact.ts';
export type { ScheduleReading } from './schedule-metrics.ts';
export type { MitmHandshakeFailed } from './tls-events.ts';
export type { Delivery, SendSpans, Tracing } from './tracing/index.ts';
