/**
 * The definition of every option: type, default, description, check.
 *
 * It never reads a file: it turns values as written into values or problems.
 */

export { isPrincipalName } from './access.ts';
export { parseDuration } from './duration.ts';
export { formatListenAddress, type ListenAddress } from './listen-address.ts';
export { optionName } from './options.ts';
export {
  alternatives,
  childOf,
  core,
  fallbacks,
  formatOption,
  isEmptyMap,
  isMarked,
  isSection,
  markOf,
  type Option,
  outline,
  schemasAt,
} from './outline.ts';
export { isOwnPath, OWN_PATHS, RESERVED_PATHS } from './own-paths.ts';
export { FOREIGN_ARCHITECTURES } from './platform.ts';
export { isAnonymous } from './principals.ts';
export { REDACTED, redactAll, redactValue } from './redact.ts';
export { parseSchedule, type Schedule, shortestPause } from './schedules/index.ts';
export { type Config, configSchema, type UpstreamConfig } from './schema.ts';
export { parseSize, parseUnitSize } from './size.ts';
