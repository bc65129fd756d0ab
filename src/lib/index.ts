/** Small tools without a domain word in them: anything here would make sense in another server. It knows no registry. */
export * from './abortable.ts';
export * from './body-buffers.ts';
export * from './body-turns.ts';
export * from './byte-source.ts';
export * from './concurrency-limit.ts';
export * from './crash-point.ts';
export * from './glob.ts';
export * from './header-text.ts';
export * from './lru.ts';
export * from './single-flight.ts';
