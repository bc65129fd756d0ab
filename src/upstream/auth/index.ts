/**
 * Credentials and tokens: read, exchanged, cached, sent to the origin they belong to.
 *
 * It never gives a credential to any host but its own upstream and that upstream's token service.
 */

export { type Authorization, Authorizer } from './authorizer.ts';
export { parseChallenges } from './challenge.ts';
export { basicAuthorization } from './credential.ts';
export { CredentialPool } from './credential-pool.ts';
export { CredentialReader, readSecret } from './credential-reader.ts';
