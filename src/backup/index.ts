/**
 * Backup and restore of what no upstream has: hosted content with its records, users and tokens, keys.
 *
 * A backup is copied and never linked, each blob is hashed on the way, and what a file names is there before the file. It never deletes
 * a file in a directory that is no backup, never overwrites what a cache has, and never decides who may read a backup.
 */
export { type BackUpOptions, type BackupReport, backUp } from './backup.ts';
export type { CopyProgress, Problem } from './copy.ts';
export { BackupError } from './error.ts';
export { readPlace as requireBackup } from './place.ts';
export { type CopyRecords, copyOwnRecords, copySnapshot } from './records.ts';
export { type RestoreOptions, type RestoreReport, restore } from './restore.ts';
