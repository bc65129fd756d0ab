/**
 * Composes what rooms take from more than one section of the configuration, reads the files that it names, and opens the
 * HTTP clients that it describes.
 *
 * It sends no request except to download a registry map, and never keeps a configuration.
 */

export { checkAccess, configuredUsersOf, guardOf } from './access.ts';
export { faultOfQuestion, wordExplanation } from './access-answer.ts';
export { explainAccess, NoRulesError, privateGrantsOf } from './access-explanation.ts';
export { accountRulesOf, ruleFaultIn, splitRepository } from './access-policy.ts';
export { keepAccounts, openAccounts, readAccounts } from './accounts.ts';
export { checkTargetsOf, configuredIn } from './check.ts';
export { ClientPool } from './client-pool.ts';
export {
  type CopyEnds,
  type CopyNames,
  copyEndsOf,
  copyText,
  destinationFault,
  nameOf,
  sameEndsFault,
} from './copy-ends.ts';
export { SettingsError } from './error.ts';
export { authorityOf, authorityPlaceOf, forwardHelpOf, forwardOf } from './forward.ts';
export { isHostedHere } from './hosted-here.ts';
export {
  loadAcme,
  loadCheck,
  loadDeliveryStore,
  loadGuard,
  loadHostedStore,
  loadHosting,
  loadLateParts,
  loadLayouts,
  loadNet,
  loadPushedRows,
  loadSchedules,
  loadTokenDoor,
  loadUpstream,
  loadWeb,
  loadWebhooks,
} from './lazy.ts';
export { acmeSpecsOf } from './listener-tls.ts';
export { notesOf } from './notes.ts';
export { type OneImage, oneImage } from './one-image.ts';
export { catalogueOf, composeRegistries } from './registries.ts';
export {
  type CopySchedule,
  checkSchedules,
  type ScheduledWork,
  scheduledWorkOf,
  type WarmSchedule,
} from './schedules.ts';
export { cacheOptionsOf, diskReadingOf, frontDoorOptionsOf, logFormatOf, ownHostsOf, ownNamesOf } from './server.ts';
export { mirrorSpecOf, siteDoorsOf } from './sites.ts';
export { checkOwnFiles, checkTlsFiles, readUpstreamFiles } from './tls-files.ts';
export { transportOf } from './transport.ts';
export { webhookSourceOf, webhookSpecsOf } from './webhooks.ts';
