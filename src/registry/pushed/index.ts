/**
 * The registry API of repositories that can be pushed to: each method of each path is one row with its action and its answer.
 *
 * It never decides who may push. What is hosted here is never asked of an upstream.
 */
export { createPushedRows } from './rows.ts';
