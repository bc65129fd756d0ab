/**
 * Which repositories every client may see, decided by what upstreams answer without a credential of ours.
 *
 * It never decides who may see the others: that is the gate's.
 */
export { RepositoryVisibilities } from './visibility.ts';
