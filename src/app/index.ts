/**
 * A running server: built from a configuration, replaced part by part on a reload, closed at the end.
 *
 * It connects the rooms to each other and holds no policy of its own. It never handles a request itself.
 */

export { type App, startApp } from './app.ts';
export type { Generation, ProcessContext } from './generation.ts';
export { openOwnObservations } from './observations.ts';
export { checkPlugins, testPlugin } from './plugins.ts';
export {
  accountRulesOf,
  authorityPlaceOf,
  ClientPool,
  cacheOptionsOf,
  catalogueOf,
  checkAccess,
  checkSchedules,
  checkTargetsOf,
  checkTlsFiles,
  composeRegistries,
  configuredUsersOf,
  explainAccess,
  faultOfQuestion,
  isHostedHere,
  loadLateParts,
  logFormatOf,
  notesOf,
  openAccounts,
  SettingsError,
  wordExplanation,
} from './settings/index.ts';
export { suggestAccess } from './suggestion.ts';

/** What bundles are made of, and of a directory without a server too; a start does not load it. */
export const loadCarry = (): Promise<Pick<typeof import('./operating/index.ts'), 'composeCarry'>> =>
  import('./operating/index.ts');

/** What is cached and hosted, for a command on a directory without a server. */
export const loadInventory = (): Promise<Pick<typeof import('./operating/index.ts'), 'composeInventory'>> =>
  import('./operating/index.ts');
