/**
 * Finds the configuration, merges file, environment and flags, and reports every problem with its place and remedy.
 *
 * It never fills in a default that the schema does not define, and keeps nothing that it reads.
 */
export { type ConfigFlags, checkSettings, type LoadedConfig, loadConfig, loadListeners } from './load.ts';
export { loadYaml } from './load-yaml.ts';
export { locateProblems } from './locate.ts';
export { findNotes, isReachable } from './notes.ts';
export { readYaml } from './read-yaml.ts';
