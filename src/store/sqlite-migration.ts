import type { DatabaseSync } from 'node:sqlite';

interface MigrateOptions {
  /** Entry n migrates `user_version` n to n + 1. */
  readonly migrations: readonly string[];
  /** Throws for a file that a newer release wrote. */
  readonly refuseNewer: (versions: { readonly found: number; readonly known: number }) => never;
  /** Throws for the database of another program. */
  readonly refuseForeign: () => never;
  /** Runs in an empty database, before its first table. */
  readonly begin?: (database: DatabaseSync) => void;
}

/** Migrates a database of an older release, or an empty one, in one transaction. */
export function migrate(database: DatabaseSync, options: MigrateOptions): void {
  const { migrations, refuseNewer, refuseForeign, begin } = options;
  const version = Number(database.prepare('PRAGMA user_version').get()?.['user_version']);
  const known = migrations.length;
  if (version > known) refuseNewer({ found: version, known });
  if (version === known) return;
  const tables = Number(database.prepare('SELECT count(*) AS tables FROM sqlite_schema').get()?.['tables']);
  // A migration and its version are written in one transaction, so another program wrote this file.
  if (version < 0 || (version === 0 && tables > 0)) refuseForeign();
  if (version === 0) begin?.(database);
  transact(database, () => {
    for (const migration of migrations.slice(version)) database.exec(migration);
    database.exec(`PRAGMA user_version = ${known}`);
  });
}

/** Runs the work in one transaction: all of its changes, or none. */
export function transact<T>(database: DatabaseSync, work: () => T): T {
  // IMMEDIATE: a transaction that begins with a read cannot wait for the lock of its first write.
  database.exec('BEGIN IMMEDIATE');
  try {
    const result = work();
    database.exec('COMMIT');
    return result;
  } catch (error) {
    // Some errors, such as a full disk, have rolled back already.
    if (database.isTransaction) database.exec('ROLLBACK');
    throw error;
  }
}
