/**
 * The schema of the file of users and tokens: entry n migrates `user_version` n to n + 1. The statements of a released entry
 * never change; a new entry is added.
 */
export const MIGRATIONS: readonly string[] = [
  `
  CREATE TABLE users (
    name TEXT NOT NULL PRIMARY KEY,
    password TEXT NOT NULL,  -- PHC string, never the password
    disabled INTEGER NOT NULL DEFAULT 0 CHECK (disabled IN (0, 1)),
    created_at INTEGER NOT NULL,  -- milliseconds since the epoch, as every time here
    password_at INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE tokens (
    name TEXT NOT NULL PRIMARY KEY,
    hash TEXT NOT NULL UNIQUE,  -- SHA-256 in hexadecimal, never the token
    owner TEXT REFERENCES users (name) ON DELETE CASCADE,  -- NULL: a robot's own
    may TEXT NOT NULL,  -- a JSON list of actions
    patterns TEXT NOT NULL,  -- a JSON list; empty: every repository
    created_at INTEGER NOT NULL,
    expires_at INTEGER,  -- NULL: never
    used_at INTEGER  -- NULL: no use noted
  ) STRICT, WITHOUT ROWID;

  CREATE INDEX tokens_by_owner ON tokens (owner) WHERE owner IS NOT NULL;
  `,
];

/** Every statement of the store. */
export const STATEMENTS = {
  listUsers: 'SELECT name, password, disabled, created_at, password_at FROM users ORDER BY name',
  addUser: `INSERT INTO users (name, password, disabled, created_at, password_at) VALUES (?, ?, ?, ?, ?)
    ON CONFLICT DO NOTHING`,
  hasUser: 'SELECT 1 AS found FROM users WHERE name = ?',
  setPassword: 'UPDATE users SET password = ?2, password_at = ?3 WHERE name = ?1',
  setDisabled: 'UPDATE users SET disabled = ?2 WHERE name = ?1',
  removeUser: 'DELETE FROM users WHERE name = ?',
  listTokens: 'SELECT name, hash, owner, may, patterns, created_at, expires_at, used_at FROM tokens ORDER BY name',
  hasToken: 'SELECT 1 AS found FROM tokens WHERE name = ? OR hash = ?',
  addToken: `INSERT INTO tokens (name, hash, owner, may, patterns, created_at, expires_at, used_at)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
  removeToken: 'DELETE FROM tokens WHERE name = ?',
  noteUse: 'UPDATE tokens SET used_at = ?2 WHERE name = ?1 AND coalesce(used_at, -1) < ?2',
} as const;
