import { accessSync, constants, lstatSync, readdirSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { delimiter, join, resolve, sep } from 'node:path';

/** Larger files are no configuration of a client. */
const MAX_BYTES = 1024 * 1024;

export interface MachineOptions {
  /** The directory under which the client's files are: that of an image, or of a test. @default '/' */
  readonly root?: string | undefined;
  /** The user's home directory, under `root`. */
  readonly home: string;
  /** Where programs are searched, as in `PATH`. @default '' */
  readonly searchPath?: string | undefined;
}

export type FileState =
  | { readonly kind: 'absent' }
  | { readonly kind: 'file'; readonly bytes: Buffer; readonly text: string }
  /** The reason ends the sentence "FILE …". */
  | { readonly kind: 'unreadable'; readonly reason: string };

/** The files of one machine, named as its clients name them: absolute, or `~/…`. It only reads. */
export class Machine {
  readonly root: string;
  readonly home: string;
  readonly #searchPath: string;
  /** By absolute name: what files count as, whatever they are. */
  readonly #instead: ReadonlyMap<string, Buffer | undefined>;

  constructor(
    { root = '/', home, searchPath = '' }: MachineOptions,
    instead?: ReadonlyMap<string, Buffer | undefined>,
  ) {
    this.root = resolve(root);
    this.home = home;
    this.#searchPath = searchPath;
    this.#instead = instead ?? new Map();
  }

  /** The same machine with other contents of some files; undefined: without the file. */
  with(files: readonly { readonly path: string; readonly content: Buffer | undefined }[]): Machine {
    const instead = new Map(files.map(({ path, content }) => [this.absolute(path), content]));
    return new Machine({ root: this.root, home: this.home, searchPath: this.#searchPath }, instead);
  }

  /** Whether the files are those that programs of this machine read. */
  get isLive(): boolean {
    return this.root === sep;
  }

  /** The absolute name by which a client knows the file. */
  absolute(path: string): string {
    return path.startsWith('~/') ? join(this.home, path.slice(2)) : path;
  }

  /** Where the file is, symbolic links aside. */
  locate(path: string): string {
    return join(this.root, this.absolute(path));
  }

  /** The file itself where the path is a symbolic link. Undefined where nothing is there. @throws the file system's errors */
  realPath(path: string): string | undefined {
    const located = this.locate(path);
    if (lstatSync(located, { throwIfNoEntry: false }) === undefined) return undefined;
    return realpathSync(located);
  }

  read(path: string): FileState {
    const name = this.absolute(path);
    if (this.#instead.has(name)) {
      const bytes = this.#instead.get(name);
      return bytes === undefined ? { kind: 'absent' } : { kind: 'file', bytes, text: bytes.toString() };
    }
    try {
      const real = this.realPath(path);
      if (real === undefined) return { kind: 'absent' };
      if (!this.#isInside(real)) return unreadable(`is a symbolic link that leads outside of ${this.root}`);
      const stat = statSync(real);
      if (stat.isDirectory()) return unreadable('is a directory');
      if (!stat.isFile()) return unreadable('is no regular file');
      if (stat.size > MAX_BYTES) return unreadable(`has ${stat.size} bytes, which no configuration has`);
      const bytes = readFileSync(real);
      return { kind: 'file', bytes, text: new TextDecoder('utf-8', UTF_8).decode(bytes) };
    } catch (error) {
      if (error instanceof TypeError) return unreadable('is not UTF-8 text');
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return unreadable(BROKEN_LINK);
      return unreadable(explainFileError(error));
    }
  }

  /** The names in a directory, sorted; none where it is not there or cannot be read. */
  list(directory: string): readonly string[] {
    try {
      return readdirSync(this.locate(directory)).sort();
    } catch {
      return [];
    }
  }

  has(path: string): boolean {
    const name = this.absolute(path);
    if (this.#instead.has(name)) return this.#instead.get(name) !== undefined;
    try {
      return lstatSync(this.locate(path), { throwIfNoEntry: false }) !== undefined;
    } catch {
      // A file where a directory should be, or a directory that is closed to this user.
      return false;
    }
  }

  /** Whether a program of this name is installed. Under another root, where the system keeps programs. */
  hasProgram(name: string): boolean {
    const directories = this.isLive ? this.#searchPath.split(delimiter) : [];
    return [...directories, ...SYSTEM_PROGRAMS].some((directory) => {
      try {
        const file = join(this.root, directory, name);
        accessSync(file, constants.X_OK);
        return statSync(file).isFile();
      } catch {
        return false;
      }
    });
  }

  /** With another root, a link may not lead to the files of this machine. */
  #isInside(real: string): boolean {
    if (this.isLive) return true;
    try {
      return real.startsWith(`${realpathSync(this.root)}${sep}`);
    } catch {
      return false;
    }
  }
}

const UTF_8 = { fatal: true, ignoreBOM: true };
const SYSTEM_PROGRAMS = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'];

function unreadable(reason: string): FileState {
  return { kind: 'unreadable', reason };
}

const BROKEN_LINK = 'is a symbolic link to a file that is not there';

/** An error of the file system, with its remedy. Ends the sentence "FILE …". */
export function explainFileError(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  return REASONS[code ?? ''] ?? `cannot be used: ${message}`;
}

const REASONS: Readonly<Record<string, string>> = {
  EACCES: 'needs more rights than this user has; run the command with sudo',
  EPERM:
    'needs more rights than this user has; run the command with sudo, and see whether the file is immutable (lsattr)',
  EROFS: 'is on a read-only file system; change it where the system’s image or configuration is made',
  ELOOP: 'is a symbolic link that leads back to itself',
  ENOTDIR: 'has a file in its path where a directory should be',
  ENOSPC: 'cannot be written: the disk is full',
  EISDIR: 'is a directory',
  EBUSY: 'is mounted over, so it cannot be replaced; change it where it is mounted from',
};
