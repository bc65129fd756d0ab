/**
 * What each room takes, composed from the configuration, with the files that the configuration names.
 *
 * It opens no socket and asks no registry, except for a registry map that is named by URL. It never keeps a configuration.
 */

export { cacheOptionsOf } from './cache.ts';
export { checkTargetsOf, checkTransportOf } from './check.ts';
export { SettingsError } from './error.ts';
export { authorityOf, authorityPlaceOf, forwardHelpOf, forwardOf } from './forward.ts';
export { loadLateParts, loadSites, loadUpstream } from './lazy.ts';
export { catalogueOf, composeRegistries } from './registries.ts';
export { admissionLimitsOf, frontDoorOptionsOf, logFormatOf } from './server.ts';
export { sitesOf } from './sites.ts';
export { checkTlsFiles, readUpstreamFiles } from './tls-files.ts';
export { answerTimeoutOf, httpClientOf, resolverOf, type SharedTransport } from './transport.ts';
