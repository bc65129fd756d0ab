/**
 * Which upstream is asked next: circuits, rate limits, retries, fail-over.
 *
 * It never sends a request of its own: health is what pulls have shown.
 */

export { failOver } from './failover.ts';
export { Health, type HealthView, type Permit } from './health.ts';
export { type HealthSignal, judgeAnswer, judgeBody, judgeError } from './signal.ts';
