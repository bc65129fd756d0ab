/**
 * The administration of a running server: its operations, and the control socket that serves them to commands.
 *
 * Each operation is one definition of name, gate action, input, answer and handler. This room never parses a command line
 * and never serves a client of the registry.
 */
export { type AccountContext, type AccountRules, type TokensAnswer, type UsersAnswer } from './account-operations.ts';
export type { BackupBegun } from './backup-operations.ts';
export { ControlError, callControl } from './client.ts';
export type { HeldTag, HistoryAnswer, RollbackAnswer, UnholdAnswer } from './history-operations.ts';
export type { HostedContext } from './hosted.ts';
export { faultOfInput, type Operation } from './operation.ts';
export {
  type GcAnswer,
  OPERATIONS,
  type PurgeAnswer,
  type RefreshAnswer,
  type ReloadAnswer,
} from './operations.ts';
export type { ScrubProgress, UnknownFiles } from './scrub-operations.ts';
export { createControl } from './socket.ts';
export { controlSocketPath } from './socket-path.ts';
export {
  type CertificateStatus,
  describeServer,
  type ServerStatus,
  type TransferStatus,
  type UpstreamStatus,
} from './status.ts';
export type { SuggestAnswer, SuggestInput } from './suggest.ts';
export type { WebhookStatus, WebhooksAnswer, WebhookTestAnswer } from './webhook-operations.ts';
