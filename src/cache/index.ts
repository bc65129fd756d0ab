/**
 * The pull-through cache: have it, join it or get it.
 *
 * It decides freshness and membership and owns every transfer. It never speaks HTTP, and never knows which upstream
 * there is: it asks an {@link Origin}.
 */
export * from './origin.ts';
