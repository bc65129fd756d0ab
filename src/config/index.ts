/**
 * The configuration: found, read, joined from file, environment and flags, checked, and printed.
 *
 * One definition (`schema.ts`) gives the types, the checks, the JSON Schema, the commented default and the manual. It never
 * acts on what it reads: it opens no cache, asks no registry, and keeps no configuration for later.
 */

export { ConfigError, formatKey, formatProblem } from './problems.ts';
export { type ConfigFlags, type LoadedConfig, loadConfig, loadYaml, locateProblems } from './read/index.ts';
export {
  type Config,
  type Listener,
  parseDuration,
  parseSize,
  type RegistryConfig,
  type UpstreamConfig,
} from './schema/index.ts';
export { defaultFile, jsonSchema, printConfig, printConfigJson, referenceTable } from './show/index.ts';
