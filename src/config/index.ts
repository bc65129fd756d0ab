/**
 * The configuration: found, read, joined from file, environment and flags, checked, and printed.
 *
 * One definition (`schema.ts`) gives the types, the checks, the JSON Schema, the commented default and the manual. It never
 * acts on what it reads: it opens no cache, asks no registry, and keeps no configuration for later.
 */

export { defaultFile } from './default-file.ts';
export { parseDuration } from './duration.ts';
export { jsonSchema } from './json-schema.ts';
export type { ListenAddress } from './listen-address.ts';
export { formatListenAddress } from './listen-address.ts';
export type { ConfigFlags, LoadedConfig, LoadOptions } from './load.ts';
export { loadConfig } from './load.ts';
export { loadYaml } from './load-yaml.ts';
export { locateProblems } from './locate.ts';
export { printConfig, printConfigJson } from './print.ts';
export type { ConfigProblem, Source } from './problems.ts';
export { ConfigError, formatKey, formatProblem } from './problems.ts';
export { referenceTable } from './reference.ts';
export type { CacheConfig, Config, ForwardProxyConfig, Listener, RegistryConfig, UpstreamConfig } from './schema.ts';
export { parseSize } from './size.ts';
