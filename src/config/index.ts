/**
 * The configuration: finds, reads, merges (file, environment, flags), checks and prints it.
 *
 * One definition (`schema/schema.ts`) gives the types, the checks, the JSON Schema, the commented default and the manual.
 * It never acts on a configuration: it opens no cache, sends no request, and keeps no configuration.
 */

export { ConfigError, type ConfigProblem, formatKey, formatProblem } from './problems.ts';
export { type ConfigFlags, findNotes, type LoadedConfig, loadConfig, loadYaml, locateProblems } from './read/index.ts';
export {
  type Config,
  optionName,
  parseDuration,
  parseUnitSize,
} from './schema/index.ts';
export { defaultFile, jsonSchema, printConfig, printConfigJson, referenceTable } from './show/index.ts';
