/** Small tools without a domain word in them: anything here would make sense in another server. It knows no registry. */
export * from './byte-source.ts';
export * from './single-flight.ts';
export * from './glob.ts';
export * from './lru.ts';
export * from './crash-point.ts';
