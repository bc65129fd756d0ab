/** A login at one upstream. Never logged, never part of a message, a key or a URL. */
export interface Credential {
  readonly username: string;
  readonly password: string;
}

/** A configured credential cannot be read. The message names its source, never its content. */
export class CredentialError extends Error {
  override readonly name = 'CredentialError';
}

/** The user name of a credential helper's identity token, which is a refresh token. */
export const IDENTITY_TOKEN_USER = '<token>';

/** The `Authorization` of Basic authentication (RFC 7617). */
export function basicAuthorization(credential: Credential): string {
  return `Basic ${Buffer.from(`${credential.username}:${credential.password}`, 'utf8').toString('base64')}`;
}
