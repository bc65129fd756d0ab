import { ReplaceableDatabase, transact } from '../replaceable-database.ts';
import type { DeliveryChanges, DeliveryStore, StoredDelivery } from './delivery-store.ts';

/** Of the layout below. A database of another version is set aside. */
const VERSION = 1;

const SCHEMA = `
  CREATE TABLE deliveries (
    id TEXT NOT NULL PRIMARY KEY,
    hook TEXT NOT NULL,
    event TEXT NOT NULL,
    body TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    due_at INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
`;

const STATEMENTS = {
  list: 'SELECT id, hook, event, body, created_at, attempts, due_at FROM deliveries ORDER BY id',
  put: `INSERT INTO deliveries (id, hook, event, body, created_at, attempts, due_at) VALUES (?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT DO UPDATE SET attempts = excluded.attempts, due_at = excluded.due_at`,
  remove: 'DELETE FROM deliveries WHERE id = ?',
} as const;

export interface DeliveryStoreOptions {
  /** Called where the database was damaged, and an empty one has taken its place. */
  readonly onDamage: (message: string) => void;
}

/**
 * Opens the deliveries of a cache directory, creating the file if it is missing. A database that is damaged, or of another
 * release, is set aside as `webhooks.db.corrupt`, and what it held is not delivered.
 *
 * What was saved survives the end of the process, however it ends. A power cut may undo the last moments.
 */
export async function openDeliveryStore(file: string, { onDamage }: DeliveryStoreOptions): Promise<DeliveryStore> {
  const database = await ReplaceableDatabase.open(file, {
    version: VERSION,
    schema: SCHEMA,
    statements: STATEMENTS,
    onDamage: ({ message }) =>
      onDamage(`The queue of webhooks in ${file} could not be read (${message}): what waited in it is not delivered`),
  });
  return new SqliteDeliveryStore(database);
}

class SqliteDeliveryStore implements DeliveryStore {
  readonly #database: ReplaceableDatabase<keyof typeof STATEMENTS>;

  constructor(database: ReplaceableDatabase<keyof typeof STATEMENTS>) {
    this.#database = database;
  }

  list(): Promise<readonly StoredDelivery[]> {
    return this.#database.use(({ statements }) => statements.list.all().map(deliveryOf));
  }

  save({ put, remove }: DeliveryChanges): Promise<void> {
    return this.#database.use((opened) =>
      transact(opened, ({ statements }) => {
        for (const id of remove) statements.remove.run(id);
        for (const { id, hook, event, body, createdAt, attempts, dueAt } of put) {
          statements.put.run(id, hook, event, body, createdAt, attempts, Math.round(dueAt));
        }
      }),
    );
  }

  close(): Promise<void> {
    return this.#database.close();
  }
}

function deliveryOf(row: Record<string, unknown>): StoredDelivery {
  return {
    id: row['id'] as string,
    hook: row['hook'] as string,
    event: row['event'] as string,
    body: row['body'] as string,
    createdAt: row['created_at'] as number,
    attempts: row['attempts'] as number,
    dueAt: row['due_at'] as number,
  };
}
