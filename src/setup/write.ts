import {
  closeSync,
  existsSync,
  fchmodSync,
  fchownSync,
  fsyncSync,
  mkdirSync,
  openSync,
  renameSync,
  rmdirSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';

/**
 * Replaces a file at once: its content is the old one or the new one, whatever happens on the way. Owner and mode stay; a
 * file that is new has the given mode. The path is not a symbolic link.
 */
export function replaceFile(path: string, content: Buffer, { mode = 0o644 }: { readonly mode?: number } = {}): void {
  const directory = dirname(path);
  const old = statSync(path, { throwIfNoEntry: false });
  // A name that no client reads: they look for *.conf, *.toml, *.json, *.crt.
  const temporary = join(directory, `.${basename(path)}.entrepot-${process.pid}`);
  rmSync(temporary, { force: true });
  const file = openSync(temporary, 'wx', old === undefined ? mode : 0o600);
  try {
    try {
      let written = 0;
      while (written < content.length) written += writeSync(file, content, written);
      if (old !== undefined) {
        fchownSync(file, old.uid, old.gid);
        fchmodSync(file, old.mode & 0o7777);
      } else fchmodSync(file, mode);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
  syncDirectory(directory);
}

/** Creates a directory and those above it, with this mode. @returns those that it created, the outermost first */
export function makeDirectories(directory: string, mode = 0o755): readonly string[] {
  const missing: string[] = [];
  for (let each = directory; !existsSync(each); each = dirname(each)) missing.unshift(each);
  // One by one: with `recursive`, a read-only file system comes out as ENOENT.
  for (const each of missing) mkdirSync(each, { mode });
  return missing;
}

/** Removes a directory if it is empty. */
export function removeIfEmpty(directory: string): void {
  try {
    rmdirSync(directory);
  } catch {
    // Something is in it, or it is no longer there.
  }
}

function syncDirectory(directory: string): void {
  const file = openSync(directory, 'r');
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}
