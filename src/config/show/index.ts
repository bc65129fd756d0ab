/**
 * The configuration for people and programs: printed, as a commented default, as a table, as a JSON Schema.
 *
 * Secrets are masked here. It never changes a configuration.
 */

export { defaultFile } from './default-file.ts';
export { jsonSchema } from './json-schema.ts';
export { printConfig, printConfigJson } from './print.ts';
export { referenceTable } from './reference.ts';
