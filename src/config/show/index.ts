/**
 * The configuration for people and programs: printed, as a commented default file, a table and a JSON Schema.
 *
 * It masks secrets, and never changes a configuration.
 */

export { defaultFile } from './default-file.ts';
export { jsonSchema } from './json-schema.ts';
export { listOptions } from './list.ts';
export { maskSecret } from './mask-secret.ts';
export { printConfig, printConfigJson } from './print.ts';
export { referenceTable } from './reference.ts';
