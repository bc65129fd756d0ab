import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';

/** A certificate (with its chain) and its key, as PEM. */
export interface TlsPair {
  readonly cert: string;
  readonly key: string;
}

/**
 * Reads a certificate and its key from PEM files: EC, RSA and Ed25519 keys, in PKCS#8 or in the older forms that name
 * the algorithm (SEC 1, PKCS#1). Throws an Error that names the file and what is wrong with it, since a certificate
 * that is only found wanting at the first handshake is found by the clients.
 */
export async function readTlsFiles(files: { certFile: string; keyFile: string }): Promise<TlsPair> {
  const cert = await readPem(files.certFile, 'certificate');
  const key = await readPem(files.keyFile, 'private key');
  const certificate = parseCertificate(cert, files.certFile);
  const privateKey = parseKey(key, files.keyFile);
  if (!certificate.checkPrivateKey(privateKey))
    throw new Error(
      `The key in ${files.keyFile} does not belong to the certificate in ${files.certFile}; ` +
        'in a file with a chain, the server’s own certificate must come first',
    );
  return { cert, key };
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

function parseCertificate(pem: string, file: string): X509Certificate {
  if (!pem.includes('-----BEGIN CERTIFICATE-----'))
    throw new Error(`No certificate in ${file}: expected PEM, beginning with -----BEGIN CERTIFICATE-----`);
  try {
    return new X509Certificate(pem);
  } catch (cause) {
    throw new Error(`The certificate in ${file} cannot be read; is the PEM whole?`, { cause });
  }
}

function parseKey(pem: string, file: string): KeyObject {
  if (!/-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----/.test(pem))
    throw new Error(
      `No usable private key in ${file}: expected PEM, beginning with -----BEGIN PRIVATE KEY----- ` +
        '(or EC PRIVATE KEY, RSA PRIVATE KEY); a key with a passphrase must be decrypted first',
    );
  try {
    return createPrivateKey(pem);
  } catch (cause) {
    throw new Error(`The private key in ${file} cannot be read; it must be whole and without a passphrase`, { cause });
  }
}
