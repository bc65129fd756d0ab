/**
 * What is pushed to this server, by the registry API: repositories whose pushes go on to an upstream.
 *
 * It never decides who may push, and never answers success before the upstream has.
 */
export { createThroughRows } from './through.ts';
export type { ThroughOptions } from './through-request.ts';
