import { mkdir, open, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type Authority, AuthorityError, createAuthority, openAuthority } from './certificates.ts';

/** Where the two parts of an authority lie. */
export interface AuthorityFiles {
  readonly certFile: string;
  readonly keyFile: string;
}

/** The names that `entrepot ca init` gives them in a directory. */
export function authorityFilesIn(dir: string): AuthorityFiles {
  return { certFile: join(dir, 'ca.crt'), keyFile: join(dir, 'ca.key') };
}

/** The key of an authority is read whole, and no file of that kind is larger. */
const MAX_FILE_BYTES = 256 * 1024;

/**
 * Makes an authority and writes it to a directory, made where it is missing: the key readable by its owner alone (0600),
 * from its first byte on. Throws {@link AuthorityError} where one of the files is there already; nothing is overwritten,
 * as every client would have to be told of the new one.
 */
export async function writeAuthority(dir: string, options: { readonly host: string }): Promise<AuthorityFiles> {
  const files = authorityFilesIn(dir);
  const { cert, key } = createAuthority(options);
  await mkdir(dir, { recursive: true, mode: 0o700 });
  await writeNew(files.keyFile, key, 0o600);
  try {
    await writeNew(files.certFile, cert, 0o644);
  } catch (error) {
    // Ours, from a moment ago: half an authority would stand in the way of the next attempt.
    await rm(files.keyFile, { force: true });
    throw error;
  }
  return files;
}

/** Reads an authority and checks it: see {@link openAuthority}. Throws {@link AuthorityError} that names the file. */
export async function readAuthority({ certFile, keyFile }: AuthorityFiles): Promise<Authority> {
  const [cert, key] = await Promise.all([readPem(certFile), readPem(keyFile)]);
  return openAuthority({ cert, key }, { names: [certFile, keyFile] });
}

/** The certificate alone, for whoever may not read the key. Throws {@link AuthorityError}. */
export function readAuthorityCertificate({ certFile }: Pick<AuthorityFiles, 'certFile'>): Promise<string> {
  return readPem(certFile);
}

/**
 * The authority of a directory, made where there is none yet; `made` says which. Throws {@link AuthorityError}, also where
 * only one of its two files is there.
 */
export async function findOrWriteAuthority(
  dir: string,
  options: { readonly host: string },
): Promise<AuthorityFiles & { readonly authority: Authority; readonly made: boolean }> {
  const files = authorityFilesIn(dir);
  const there = await Promise.all([isThere(files.certFile), isThere(files.keyFile)]);
  const made = there.every((each) => !each);
  if (made) await writeAuthority(dir, options);
  return { ...files, authority: await readAuthority(files), made };
}

async function writeNew(file: string, text: string, mode: number): Promise<void> {
  try {
    await using handle = await open(file, 'wx', mode);
    await handle.writeFile(text);
    await handle.sync();
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    const reason =
      code === 'EEXIST'
        ? 'is there already, and clients may trust it; move it away first, or name another directory'
        : `cannot be written: ${message}`;
    throw new AuthorityError(`${file} ${reason}`, { cause });
  }
}

async function readPem(file: string): Promise<string> {
  try {
    const text = await readFile(file, 'utf8');
    if (text.length > MAX_FILE_BYTES) throw new Error(`it has ${text.length} bytes, far more than PEM of one`);
    return text;
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    const reason =
      code === 'ENOENT'
        ? 'is not there; `entrepot ca init` makes an authority'
        : code === 'EACCES'
          ? 'may not be read by this user'
          : `cannot be read: ${message}`;
    throw new AuthorityError(`${file} ${reason}`, { cause });
  }
}

async function isThere(file: string): Promise<boolean> {
  try {
    await using handle = await open(file, 'r');
    return handle !== undefined;
  } catch (error) {
    // What may not be read is there: it is for the reading to say so.
    return (error as NodeJS.ErrnoException).code !== 'ENOENT';
  }
}
