/**
 * The path of an operation under /api/v1/, where that is not its key. A test holds those that the page calls against the definitions
 * of the server.
 */
export const PATHS: Readonly<Record<string, string | undefined>> = {
  tagList: 'tags',
  registryCheck: 'registries/check',
  accessExplain: 'access/explain',
  accessRules: 'access/rules',
  warmJobs: 'warm/jobs',
  warmCancel: 'warm/cancel',
  copyJobs: 'copy/jobs',
  copyCancel: 'copy/cancel',
  scheduleRun: 'schedules/run',
  userAdd: 'users/add',
  userPasswd: 'users/passwd',
  userDisable: 'users/disable',
  userEnable: 'users/enable',
  userRemove: 'users/remove',
  tokenCreate: 'tokens/create',
  tokenRevoke: 'tokens/revoke',
};
