/** A credential that is wrong, expired, forged or that of a removed user. The message says none of these apart. */
export class CredentialError extends Error {
  override readonly name = 'CredentialError';

  constructor() {
    super('the user, password or token is not valid; log in again');
  }
}

/** Too many wrong passwords for a name or from an address. */
export class TooManyGuessesError extends Error {
  override readonly name = 'TooManyGuessesError';
  /** Seconds. */
  readonly retryAfter: number;

  constructor(retryAfter: number) {
    super('too many wrong passwords; wait before the next login');
    this.retryAfter = retryAfter;
  }
}

/** A change of users or tokens that cannot be made. The message names the remedy and never a password. */
export class AccountError extends Error {
  override readonly name = 'AccountError';
}
