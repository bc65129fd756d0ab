/**
 * The cache directory is unusable; the message gives the reason and the remedy.
 *
 * `code` is the operating system's (`EACCES`), if there is one.
 */
export class DirectoryError extends Error {
  override readonly name = 'DirectoryError';
  readonly directory: string;
  readonly code: string | undefined;

  constructor(directory: string, cause: unknown) {
    const code = codeOf(cause);
    super(`Cannot use ${directory} as the cache directory: ${explain(code, cause)}`, { cause });
    this.directory = directory;
    this.code = code;
  }
}

/** What SQLite calls a full disk, as the operating system calls it. */
export function fullDisk(cause: unknown): Error {
  return Object.assign(new Error('ENOSPC', { cause }), { code: 'ENOSPC' });
}

/** Another running process owns the directory. */
export class DirectoryInUseError extends Error {
  override readonly name = 'DirectoryInUseError';
  readonly directory: string;
  /** From the owner's note; undefined where it is not written yet, or not readable. */
  readonly owner: DirectoryOwner | undefined;

  constructor(directory: string, owner: DirectoryOwner | undefined) {
    const who = owner === undefined ? 'another process' : `process ${owner.pid} on ${owner.host}`;
    super(
      `Cannot use ${directory} as the cache directory: ${who} is using it. ` +
        'Stop that process, or give this one a directory of its own (--cache-dir).',
    );
    this.directory = directory;
    this.owner = owner;
  }
}

/** The process that owns a directory. */
export interface DirectoryOwner {
  /** In the owner's process namespace: in a container it may be 1. */
  readonly pid: number;
  readonly host: string;
  /** Milliseconds since the epoch. */
  readonly startedAt: number;
}

const REMEDIES: Readonly<Record<string, string>> = {
  EACCES: 'this user may not write there. Change its owner, or choose another with --cache-dir.',
  EPERM: 'this user may not write there. Change its owner, or choose another with --cache-dir.',
  EROFS: 'it lies on a file system mounted read-only. Mount it writable, or choose another with --cache-dir.',
  ENOTDIR: 'a part of that path is a file. Move the file away, or choose another with --cache-dir.',
  ENOENT: 'there is no such directory, or none can be made there. Choose another with --cache-dir.',
  EEXIST: 'that is a file, or a link that leads nowhere. Move it away, or choose another with --cache-dir.',
  ENOSPC: 'its disk is full. Free some space, or choose another with --cache-dir.',
  EDQUOT: 'the quota of this user is used up. Free some space, or choose another with --cache-dir.',
  EMFILE: 'this process has no file descriptor left. Raise its limit (ulimit -n).',
  ENFILE: 'the system has no file descriptor left. Raise its limit (fs.file-max).',
  ELOOP: 'its symbolic links lead in a circle. Remove them, or choose another with --cache-dir.',
  ENAMETOOLONG: 'that path is too long. Choose a shorter one with --cache-dir.',
};

function explain(code: string | undefined, cause: unknown): string {
  const remedy = code === undefined ? undefined : REMEDIES[code];
  return remedy ?? (cause instanceof Error ? cause.message : String(cause));
}

function codeOf(cause: unknown): string | undefined {
  return cause instanceof Error && 'code' in cause && typeof cause.code === 'string' ? cause.code : undefined;
}
