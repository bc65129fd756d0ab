/**
 * What is said about a running server: the catalogue of events, and the logs and metrics that are made of them.
 *
 * It formats every log line; it never decides anything, and nothing it does can fail a request.
 */
export { formatBytes } from './console-format.ts';
export * from './events.ts';
export { loadPromClient } from './load-prom-client.ts';
export * from './log.ts';
export * from './log-subscriber.ts';
export { createMetrics, type Metrics, type MetricsOptions, type UpstreamReading } from './metrics.ts';
export { redactText, redactUrl } from './redact.ts';
