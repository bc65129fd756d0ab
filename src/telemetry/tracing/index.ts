/**
 * Traces: spans made of events, and sent to a collector by OTLP over HTTP, as JSON.
 *
 * It never delays or fails a request: spans wait in a bounded queue, and what the collector does not take in time is counted
 * and dropped. It never sends a credential, a query, or anything to an upstream. It opens no connection: `send` is given.
 */

export type { Delivery, SendSpans } from './export-queue.ts';
export { createTracing, type Tracing, type TracingOptions } from './tracing.ts';
