/**
 * The registry API of repositories that can be pushed to: each method of each path is one row with its action and its answer.
 *
 * It never decides who may push. What is hosted here is never asked of an upstream; what passes through answers success only after the
 * upstream has.
 */
export { createClosedRows } from './closed.ts';
export { createPushedRows } from './rows.ts';
export { createThroughRows } from './through.ts';
export type { ThroughOptions } from './through-request.ts';
