/**
 * What happens, as server-sent events: numbered, filtered for each client, bounded.
 *
 * It never decides what a client may see: it asks its `Caller`. It never keeps more than the last thousand events.
 */
export { EventHub, type LiveSource } from './hub.ts';
export { EventStream, STREAM_HEADERS } from './stream.ts';
export { telemetrySource, transferSource } from './telemetry.ts';
