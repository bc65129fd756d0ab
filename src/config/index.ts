/**
 * The configuration: finds, reads, merges (file, environment, flags), checks and prints it.
 *
 * One definition (`schema/schema.ts`) gives the types, the checks, the JSON Schema, the commented default and the manual.
 * It never acts on a configuration: it opens no cache, sends no request, and keeps no configuration.
 */

export { ConfigError, type ConfigProblem, formatKey, formatProblem, formatSource, type Source } from './problems.ts';
export {
  type ConfigFlags,
  checkSettings,
  findNotes,
  isReachable,
  type LoadedConfig,
  loadConfig,
  loadListeners,
  loadYaml,
  locateProblems,
  readYaml,
} from './read/index.ts';
export {
  type Config,
  isOwnPath,
  isPrincipalName,
  optionName,
  parseDuration,
  parseUnitSize,
} from './schema/index.ts';
export {
  defaultFile,
  jsonSchema,
  listOptions,
  maskSecret,
  printConfig,
  printConfigJson,
  referenceTable,
} from './show/index.ts';
export { isList, isMap, type Path, type Scalar, type Tree } from './tree.ts';
