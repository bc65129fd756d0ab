/**
 * Which upstream is tried next: circuits, rate limits, retries, fail-over.
 *
 * It never sends a request of its own: it learns health from the clients' requests alone.
 */

export { failOver } from './failover.ts';
export { Health, type HealthPermit, type HealthView } from './health.ts';
export { rightFirst } from './right-first.ts';
export { type HealthSignal, judgeAnswer, judgeBody, judgeError } from './signal.ts';
