/**
 * Finds the configuration, joins file, environment and flags, and names every problem with its place and remedy.
 *
 * It never fills in a value that the schema does not define, and it opens nothing that the configuration names.
 */
export { type ConfigFlags, type LoadedConfig, loadConfig } from './load.ts';
export { loadYaml } from './load-yaml.ts';
export { locateProblems } from './locate.ts';
