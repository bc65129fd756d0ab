/** A user of this server. */
export interface UserRecord {
  readonly name: string;
  /** Hash of the password with its parameters, as text; never the password. */
  readonly password: string;
  /** A disabled user is refused everywhere and keeps password and tokens. */
  readonly disabled: boolean;
  /** Milliseconds since 1970, as every time here. */
  readonly createdAt: number;
  /** When the password was last set. */
  readonly passwordAt: number;
}

/** A token that this server gave out. */
export interface TokenRecord {
  readonly name: string;
  /** SHA-256 of the token, 64 hexadecimal digits. */
  readonly hash: string;
  /** The user whom it acts for; undefined for a robot's own. */
  readonly owner: string | undefined;
  /** The actions that it is narrowed to. */
  readonly may: readonly string[];
  /** Patterns of repositories that it is narrowed to; empty: every repository. */
  readonly on: readonly string[];
  readonly createdAt: number;
  /** Undefined: never. */
  readonly expiresAt: number | undefined;
  /** The last use that was noted; undefined: none. */
  readonly usedAt: number | undefined;
}

export interface TokenUse {
  readonly name: string;
  readonly at: number;
}

/**
 * Users and tokens, which exist nowhere else. Each operation is a whole: when it has resolved, a power cut does not undo it; when it
 * rejects, nothing has changed. Names are compared byte by byte. Lists are in the order of names.
 */
export interface AccessStore {
  listUsers(): Promise<readonly UserRecord[]>;
  /** @returns false where a user has the name */
  addUser(user: UserRecord): Promise<boolean>;
  /** @returns false where there is no such user */
  setPassword(name: string, change: { readonly password: string; readonly at: number }): Promise<boolean>;
  /** @returns false where there is no such user */
  setDisabled(name: string, disabled: boolean): Promise<boolean>;
  /** Removes a user and the tokens that act for them. @returns false where there is no such user */
  removeUser(name: string): Promise<boolean>;
  listTokens(): Promise<readonly TokenRecord[]>;
  addToken(token: TokenRecord): Promise<'added' | 'taken' | 'no owner'>;
  /** @returns false where there is no such token */
  removeToken(name: string): Promise<boolean>;
  /** Notes when tokens were last used; those that are gone are passed over, and an earlier time than the noted one too. */
  noteUses(uses: readonly TokenUse[]): Promise<void>;
  close(): Promise<void>;
}
