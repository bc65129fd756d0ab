import { isFullDisk } from '../store/index.ts';

/** Why a backup or a restore cannot go on; the message ends with the remedy. */
export class BackupError extends Error {
  override readonly name = 'BackupError';
}

/**
 * What the disk of a directory says, with the directory and the remedy. Errors that explain themselves stay as they are.
 *
 * @param again what runs it again, as a clause: `run the backup again`
 */
export function explainDisk(error: unknown, { directory, again }: { directory: string; again: string }): unknown {
  const { code, syscall } = (error instanceof Error ? error : {}) as NodeJS.ErrnoException;
  const full = `Cannot write to ${directory}: its disk is full, or the quota of this user is used up. Free some space and ${again}: what was copied stays.`;
  if (isFullDisk(error) || code === 'EDQUOT') return new BackupError(full, { cause: error });
  if (syscall === undefined) return error;
  const { message } = error as Error;
  return new BackupError(`Cannot go on in ${directory}: ${message}. Mend that and ${again}: what was copied stays.`, {
    cause: error,
  });
}
