/**
 * What operators ask of a running server: the operations, the status, and the control socket that carries them.
 *
 * Each operation checks its own input and answers plain JSON. This room never parses a command line and never serves a
 * client of the registry.
 */
export { ControlError, callControl } from './client.ts';
export {
  cacheOperations,
  collectGarbage,
  type GcAnswer,
  type PurgeAnswer,
  purgePatterns,
  type RefreshAnswer,
  scrubOperations,
} from './operations.ts';
export { createControl } from './socket.ts';
export { controlSocketPath } from './socket-path.ts';
export { describeServer, type ServerStatus, type TransferStatus, type UpstreamStatus } from './status.ts';
