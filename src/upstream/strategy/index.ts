/**
 * In which order the upstreams of a registry are asked: ordered, fastest, weighted, or as a plugin says.
 *
 * It only orders the upstreams that may be asked. It never sends a request: it learns speed from the clients' requests alone.
 */

export { Pace, type PaceView } from './pace.ts';
export { rateBody } from './rate-body.ts';
export { type Candidate, type Question, type RoutingPort, Strategy } from './strategy.ts';
