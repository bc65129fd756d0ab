import * as z from 'zod';
import type { Operation } from './operation.ts';

/** What the operations of a backup act on. */
export interface BackupContext {
  readonly hosted: {
    /** Rejects where a backup is under way. */
    beginBackup(): Promise<BackupBegun>;
    /** False where it has ended. */
    renewBackup(id: string): boolean;
    endBackup(id: string): Promise<boolean>;
  };
}

const backupBegun = z.object({
  id: z.string().describe('What it is renewed and ended by.'),
  lease: z.number().describe('Milliseconds within which it has to be renewed; else it ends by itself.'),
  snapshot: z
    .string()
    .optional()
    .describe('A copy of the records, below the cache directory; absent where nothing was ever hosted.'),
});
/** A backup that a server has begun. */
export interface BackupBegun {
  readonly id: string;
  readonly lease: number;
  readonly snapshot?: string | undefined;
}

/** Copies the records of hosted repositories, and deletes no file that they name until the end. */
const backupBegin: Operation<object, BackupBegun, BackupContext> = {
  name: 'backup/begin',
  summary: 'Begin a backup of hosted content',
  socketOnly: true,
  action: 'admin',
  changes: true,
  input: z.object({}),
  answer: backupBegun,
  handle: (_, { hosted }) => hosted.beginBackup(),
};

const one = z.object({ id: z.string().max(100) });
const isOn = z.object({ on: z.boolean().describe('False: it had ended by itself before.') });

const backupRenew: Operation<z.infer<typeof one>, z.infer<typeof isOn>, BackupContext> = {
  name: 'backup/renew',
  summary: 'Keep a backup from being given up',
  socketOnly: true,
  action: 'admin',
  changes: true,
  input: one,
  answer: isOn,
  handle: ({ id }, { hosted }) => ({ on: hosted.renewBackup(id) }),
};

const backupEnd: Operation<z.infer<typeof one>, z.infer<typeof isOn>, BackupContext> = {
  name: 'backup/end',
  summary: 'End a backup',
  socketOnly: true,
  action: 'admin',
  changes: true,
  input: one,
  answer: isOn,
  handle: async ({ id }, { hosted }) => ({ on: await hosted.endBackup(id) }),
};

/** The operations of a backup, which a command makes with the files of the cache directory. */
export const BACKUP_OPERATIONS = { backupBegin, backupRenew, backupEnd };
