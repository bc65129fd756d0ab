import { createPrivateKey, type KeyObject, type X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { orderChain, parseCertificates } from './chain.ts';

/** The files of a certificate and its key; both may be in one file. */
export interface TlsFiles {
  readonly certFile: string;
  readonly keyFile: string;
  /** What writes the files, where that is this server itself: they may not exist yet, and are renewed without the operator. */
  readonly writtenBy?: string | undefined;
}

/** A certificate (with its chain) and its key, as PEM. */
export interface TlsPair {
  /** The server's own first, each followed by its issuer. */
  readonly cert: string;
  readonly key: string;
  /** The names of the certificate, for messages. */
  readonly subject: string;
  /** Milliseconds since the epoch. */
  readonly validFrom: number;
  /** Milliseconds since the epoch. */
  readonly expiresAt: number;
  /** Warnings for the operator about a usable pair: one sentence each. */
  readonly notes: readonly string[];
}

const PRIVATE_KEY = /-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----[\s\S]*?-----END (?:[A-Z]+ )?PRIVATE KEY-----/;

/**
 * Reads a certificate and its key from PEM files: EC, RSA and Ed25519 keys, in PKCS#8 or in the older forms that name
 * the algorithm (SEC 1, PKCS#1), and certificates in any order.
 *
 * @throws {Error} that names the file and its fault; checked here, because the first handshake would show it to clients only
 */
export async function readTlsFiles({ certFile, keyFile }: TlsFiles): Promise<TlsPair> {
  // One after the other: where both are wrong, the message is always about the same one.
  const certificates = certificatesOf(await readPem(certFile, 'certificate'), certFile);
  const key = keyOf(await readPem(keyFile, 'private key'), keyFile);
  const chain = orderChain(certificates, key.key);
  if (chain === undefined) {
    const names = certificates.map(subjectOf).join('; ');
    throw new Error(
      `The key in ${keyFile} does not belong to the certificate in ${certFile} (${names}); they must be a pair`,
    );
  }
  const [own] = chain.certificates;
  return {
    cert: chain.wasInOrder ? certificates.map(String).join('') : chain.certificates.map(String).join(''),
    key: key.pem,
    subject: subjectOf(own),
    validFrom: own.validFromDate.getTime(),
    expiresAt: own.validToDate.getTime(),
    notes: notesOn(chain, certFile),
  };
}

function notesOn(
  { certificates, wasInOrder }: NonNullable<ReturnType<typeof orderChain>>,
  file: string,
): readonly string[] {
  const [own] = certificates;
  const notes: string[] = [];
  if (!wasInOrder) {
    notes.push(
      `The certificates in ${file} are not in order; they are sent in order: the server’s own first, each followed by its issuer`,
    );
  }
  // An issuer that publishes its own certificate (CA Issuers) is seldom one that clients trust directly.
  if (certificates.length === 1 && own.infoAccess?.includes('CA Issuers') === true && !own.checkIssued(own)) {
    const issuer = own.issuer.replaceAll('\n', ', ');
    notes.push(
      `${file} holds no certificate of its issuer (${issuer}); many clients refuse a certificate without its chain`,
    );
  }
  const now = Date.now();
  if (own.validFromDate.getTime() > now) {
    notes.push(
      `The certificate in ${file} is not valid before ${own.validFromDate.toISOString()}; is the clock right?`,
    );
  }
  return notes;
}

async function readPem(file: string, what: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    const reasons: Record<string, string> = {
      ENOENT: 'there is no such file',
      EACCES: 'this user may not read it',
      EISDIR: 'it is a directory',
    };
    throw new Error(`Cannot read the TLS ${what} ${file}: ${reasons[code ?? ''] ?? message}`, { cause });
  }
}

function certificatesOf(pem: string, file: string): readonly X509Certificate[] {
  if (!pem.includes('-----BEGIN CERTIFICATE-----'))
    throw new Error(`No certificate in ${file}: expected PEM, beginning with -----BEGIN CERTIFICATE-----`);
  try {
    const certificates = parseCertificates(pem);
    if (certificates.length > 0) return certificates;
    throw new Error('the PEM has a beginning and no end');
  } catch (cause) {
    throw new Error(`The certificate in ${file} cannot be read; is the PEM whole?`, { cause });
  }
}

/** The first private key of a file, which may hold certificates as well. */
function keyOf(pem: string, file: string): { readonly key: KeyObject; readonly pem: string } {
  const [block] = PRIVATE_KEY.exec(pem) ?? [];
  if (block === undefined)
    throw new Error(
      `No usable private key in ${file}: expected PEM, beginning with -----BEGIN PRIVATE KEY----- ` +
        '(or EC PRIVATE KEY, RSA PRIVATE KEY); a key with a passphrase must be decrypted first',
    );
  try {
    return { key: createPrivateKey(block), pem: `${block}\n` };
  } catch (cause) {
    // The older forms say in a header that the key is encrypted, PKCS#8 in its first line.
    const isEncrypted = /BEGIN ENCRYPTED PRIVATE KEY|Proc-Type: 4,ENCRYPTED/.test(block);
    const remedy = isEncrypted ? `; decrypt it with: openssl pkey -in ${file} -out FILE` : '';
    throw new Error(`The private key in ${file} cannot be read; it must be whole and without a passphrase${remedy}`, {
      cause,
    });
  }
}

function subjectOf({ subject, subjectAltName }: X509Certificate): string {
  return (subjectAltName ?? subject?.replaceAll('\n', ', ') ?? '').slice(0, 200);
}
