import { X509Certificate } from 'node:crypto';
import { mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import type { Secret } from '../oci/index.ts';
import { isRecord } from './problem.ts';
import { renewalIdOf } from './renewal-info.ts';
import type { CertificateLife, OrderFailure } from './schedule.ts';

/** A certificate to be ordered. */
export interface AcmeSpec {
  /** In lower case and ASCII. */
  readonly domains: readonly string[];
  readonly email?: string | undefined;
  /** URL of the ACME server's directory. */
  readonly server: string;
  /**
   * Where the certificate is kept: its key, then its chain, PEM. One file, so that both are always replaced together. The key
   * of the account lies beside it, and so do the failures.
   */
  readonly file: string;
  /** PEM file of the authorities that the ACME server's own certificate is checked with, besides the usual ones. */
  readonly caFile?: string | undefined;
  /** The external account that the ACME account is bound to (RFC 8555 §7.3.4). */
  readonly eab?: { readonly keyId: string; readonly hmacKey: Secret } | undefined;
}

/** A stored certificate. */
export interface StoredCertificate extends CertificateLife {
  /** Its identifier at its authority (RFC 9773 §4.1). */
  readonly renewalId: string | undefined;
}

/** A failure is a few hundred bytes, a chain some kilobytes. */
const MAX_FILE_BYTES = 1024 * 1024;

/** The account is known to one server: each server has a folder of its own. */
export function accountFileOf({ file }: Pick<AcmeSpec, 'file'>): string {
  return join(dirname(file), 'account.key');
}

function failureFileOf({ file }: Pick<AcmeSpec, 'file'>): string {
  return `${file.replace(/\.pem$/, '')}.failure.json`;
}

/** The stored certificate; undefined where there is none that can be read. */
export async function readCertificate({ file }: AcmeSpec): Promise<StoredCertificate | undefined> {
  try {
    const [pem, { mtimeMs }] = await Promise.all([readText(file), stat(file)]);
    const certificate = new X509Certificate(pem?.slice(pem.indexOf('-----BEGIN CERTIFICATE-----')) ?? '');
    return {
      names: namesOf(certificate),
      validFrom: certificate.validFromDate.getTime(),
      expiresAt: certificate.validToDate.getTime(),
      storedAt: mtimeMs,
      renewalId: renewalIdOf(certificate),
    };
  } catch {
    return undefined;
  }
}

/** The DNS names of a certificate. */
export function namesOf({ subjectAltName = '' }: X509Certificate): readonly string[] {
  return subjectAltName.split(', ').flatMap((entry) => (entry.startsWith('DNS:') ? [entry.slice(4)] : []));
}

/** The failures of the last orders of these domains; undefined where there are none, or none that can be read. */
export async function readFailure(spec: AcmeSpec): Promise<OrderFailure | undefined> {
  const text = await readText(failureFileOf(spec)).catch(() => undefined);
  if (text === undefined) return undefined;
  try {
    const found: unknown = JSON.parse(text);
    if (!isRecord(found)) return undefined;
    const { failures, attemptedAt, nextAttemptAt, error, domains } = found;
    // With other domains, the operator has changed what failed.
    if (!isDeepStrictEqual(domains, spec.domains)) return undefined;
    const isWhole = [failures, attemptedAt, nextAttemptAt].every(Number.isFinite) && typeof error === 'string';
    return isWhole
      ? { failures: Number(failures), attemptedAt: Number(attemptedAt), nextAttemptAt: Number(nextAttemptAt), error }
      : undefined;
  } catch {
    return undefined;
  }
}

/** Remembers a failure across restarts, or forgets it. */
export async function writeFailure(spec: AcmeSpec, failure: OrderFailure | undefined): Promise<void> {
  const file = failureFileOf(spec);
  if (failure === undefined) await rm(file, { force: true });
  else await writePrivate(file, `${JSON.stringify({ domains: spec.domains, ...failure }, null, 2)}\n`);
}

/** The text of a file; undefined where it does not exist. @throws {Error} where it cannot be read */
export async function readText(file: string): Promise<string | undefined> {
  try {
    if ((await stat(file)).size > MAX_FILE_BYTES) throw new Error(`${file} is too large for what it should hold`);
    return await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Replaces a file in one step. Only its owner may read it, from its first byte on. */
export async function writePrivate(file: string, text: string): Promise<void> {
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  // What a crash left is replaced: it may hold a key.
  const draft = `${file}.new`;
  await rm(draft, { force: true });
  try {
    {
      await using handle = await open(draft, 'wx', 0o600);
      await handle.writeFile(text);
      await handle.sync();
    }
    await rename(draft, file);
  } catch (error) {
    await rm(draft, { force: true });
    throw error;
  }
}
