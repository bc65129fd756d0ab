/**
 * The administration of a running server: its operations, and the control socket that serves them to commands.
 *
 * Each operation is one definition of name, gate action, input, answer and handler. This room never parses a command line
 * and never serves a client of the registry.
 */
export { type AccountContext, type AccountRules, type TokensAnswer, type UsersAnswer } from './account-operations.ts';
export type { BackupBegun } from './backup-operations.ts';
export {
  type AttachedNames,
  type CarriedPart,
  type CarryBegun,
  type ImportedBundle,
  type PlannedImage,
  UPLOADS,
} from './carry-operations.ts';
export type { ClientsAnswer, ConfigurationAnswer } from './configuration-operations.ts';
export type { ConsoleAnswer } from './console-operation.ts';
export { ControlError, callControl, controlSocketPath, createControl, sendControl } from './control/index.ts';
export type { CopyImage, CopyInput, CopyJob } from './copy-operations.ts';
export type {
  AccessExplainAnswer,
  AccessExplainInput,
  ExplainAnswer,
  ExplainInput,
  ImageExplanation,
  RulesAnswer,
} from './explain-operations.ts';
export type { HeldTag, HistoryAnswer, RollbackAnswer, UnholdAnswer } from './history-operations.ts';
export type { HostedContext } from './hosted.ts';
export type {
  ImageAnswer,
  PinAnswer,
  RepositoriesAnswer,
  RepositoriesInput,
  RepositoryEntry,
  TagListEntry,
  TagsAnswer,
  TagsInput,
} from './inventory-operations.ts';
export type { JobList } from './job-operations.ts';
export { LIVE_EVENTS, type LiveEvent } from './live-events.ts';
export { type Caller, faultOfInput, methodOf, OPERATOR, type Operation, type UploadOperation } from './operation.ts';
export {
  type GcAnswer,
  OPERATIONS,
  type OperationContext,
  type PurgeAnswer,
  type RefreshAnswer,
  type ReloadAnswer,
} from './operations.ts';
export type { Overview } from './overview-operation.ts';
export {
  actorShownTo,
  detailShownTo,
  type FigureSums,
  type FiguresAnswer,
  type FiguresInput,
  PULL_OUTCOMES,
  type PullDetail,
  type PullRequest,
  type PullSummary,
  type PullsAnswer,
  type PullsInput,
  pullShownTo,
} from './pull-operations.ts';
export { OperationError, type Refusal, refusalOf } from './refusal.ts';
export type { CheckAnswer, RegistriesAnswer } from './registry-operations.ts';
export type { ScheduleEntry, ScheduleRunAnswer, SchedulesAnswer } from './schedule-operations.ts';
export type { ScrubProgress, UnknownFiles } from './scrub-operations.ts';
export {
  type CertificateStatus,
  describeServer,
  describeTransfer,
  type Route,
  type ServerStatus,
  type TransferStatus,
  type UpstreamStatus,
} from './status.ts';
export type { SuggestAnswer, SuggestInput } from './suggest.ts';
export type { RefusedImage, WarmImage, WarmInput, WarmJob, WarmStarted } from './warm-operations.ts';
export type { WebhookStatus, WebhooksAnswer, WebhookTestAnswer } from './webhook-operations.ts';
