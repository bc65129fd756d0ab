/**
 * The definition of every option: type, default, description, check.
 *
 * It never reads a file: text in, values or problems out.
 */

export { parseDuration } from './duration.ts';
export type { Listener } from './listen.ts';
export { formatListenAddress } from './listen-address.ts';
export {
  alternatives,
  childOf,
  core,
  fallbacks,
  formatOption,
  isMarked,
  isSection,
  markOf,
  type Option,
  outline,
  schemasAt,
} from './outline.ts';
export { redactAll, redactValue } from './redact.ts';
export { type Config, configSchema, type RegistryConfig, type UpstreamConfig } from './schema.ts';
export { parseSize } from './size.ts';
