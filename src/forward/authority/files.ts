import { mkdir, open, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { type Authority, AuthorityError, createAuthority, openAuthority } from './certificates.ts';

/** The two files of an authority. */
export interface AuthorityFiles {
  readonly certFile: string;
  readonly keyFile: string;
}

/** The names that `entrepot ca init` gives them in a directory. */
export function authorityFilesIn(dir: string): AuthorityFiles {
  return { certFile: join(dir, 'ca.crt'), keyFile: join(dir, 'ca.key') };
}

/** More than any PEM file of an authority has: it is read whole. */
const MAX_FILE_BYTES = 256 * 1024;

/**
 * Creates an authority and writes it to a directory, which is created if missing. The key is readable by its owner alone
 * (0600), from its first byte on. An existing file is never overwritten, because every client would have to trust the new
 * certificate.
 *
 * @throws {AuthorityError} where one of the files exists already or cannot be written
 */
export async function writeAuthority(dir: string, options: { readonly host: string }): Promise<AuthorityFiles> {
  const files = authorityFilesIn(dir);
  const { cert, key } = createAuthority(options);
  await mkdir(dir, { recursive: true, mode: 0o700 });
  await writeNew(files.keyFile, key, 0o600);
  try {
    await writeNew(files.certFile, cert, 0o644);
  } catch (error) {
    // Written a moment ago: half an authority would block the next attempt.
    await rm(files.keyFile, { force: true });
    throw error;
  }
  return files;
}

/** Reads an authority and checks it: see {@link openAuthority}. @throws {AuthorityError} that names the file */
export async function readAuthority({ certFile, keyFile }: AuthorityFiles): Promise<Authority> {
  const [cert, key] = await Promise.all([readPem(certFile), readPem(keyFile)]);
  return openAuthority({ cert, key }, { names: [certFile, keyFile] });
}

/** Reads the certificate alone, for users who may not read the key. @throws {AuthorityError} */
export function readAuthorityCertificate({ certFile }: Pick<AuthorityFiles, 'certFile'>): Promise<string> {
  return readPem(certFile);
}

/**
 * Reads the authority of a directory, or creates it where both files are missing; `made` tells which.
 *
 * @throws {AuthorityError} also where only one of the two files exists
 */
export async function findOrWriteAuthority(
  dir: string,
  options: { readonly host: string },
): Promise<AuthorityFiles & { readonly authority: Authority; readonly made: boolean }> {
  const files = authorityFilesIn(dir);
  const [hasCert, hasKey] = await Promise.all([exists(files.certFile), exists(files.keyFile)]);
  const made = !hasCert && !hasKey;
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
        ? 'exists already, and clients may trust it; move it away first, or name another directory'
        : `cannot be written: ${message}`;
    throw new AuthorityError(`${file} ${reason}`, { cause });
  }
}

async function readPem(file: string): Promise<string> {
  try {
    const text = await readFile(file, 'utf8');
    if (text.length > MAX_FILE_BYTES)
      throw new Error(`it has ${text.length} bytes, far more than a PEM file of an authority`);
    return text;
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    const reason =
      code === 'ENOENT'
        ? 'does not exist; create an authority with `entrepot ca init`'
        : code === 'EACCES'
          ? 'may not be read by this user'
          : `cannot be read: ${message}`;
    throw new AuthorityError(`${file} ${reason}`, { cause });
  }
}

/** True also for a file that may not be read: the read reports that. */
function exists(file: string): Promise<boolean> {
  return stat(file).then(
    () => true,
    (error: NodeJS.ErrnoException) => error.code !== 'ENOENT',
  );
}
