import { type KeyObject, X509Certificate } from 'node:crypto';

/** The certificates that a server sends, in order. */
interface CertificateChain {
  /** The server's own certificate, then each one's issuer as far as the file has them, then the others. */
  readonly certificates: readonly [X509Certificate, ...X509Certificate[]];
  /** False where the file had another order. */
  readonly wasInOrder: boolean;
}

/** A file with more certificates is no chain: public chains have two to four. */
const MAX_CERTIFICATES = 64;

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g;

/**
 * The certificates of a PEM file, in its order; its other content is skipped.
 *
 * @throws {Error} where one cannot be read, or there are too many
 */
export function parseCertificates(pem: string): readonly X509Certificate[] {
  const blocks = pem.match(CERTIFICATE) ?? [];
  if (blocks.length > MAX_CERTIFICATES) {
    throw new Error(
      `found ${blocks.length} certificates, expected at most ${MAX_CERTIFICATES}: the server’s own and its chain`,
    );
  }
  return blocks.map((block) => new X509Certificate(block));
}

/**
 * Puts certificates in the order of TLS (RFC 8446 §4.4.2): the certificate of the key first, each followed by its issuer. Many
 * clients take any order, some only this one. No certificate is left out: one outside the chain may lead to another
 * authority. Undefined where no certificate belongs to the key.
 */
export function orderChain(certificates: readonly X509Certificate[], key: KeyObject): CertificateChain | undefined {
  const own = certificates.find((each) => each.checkPrivateKey(key));
  if (own === undefined) return undefined;
  const rest = certificates.filter((each) => each.fingerprint256 !== own.fingerprint256);
  const ordered: [X509Certificate, ...X509Certificate[]] = [own];
  for (let last = own; ; ) {
    const at = rest.findIndex((each) => isIssuer(each, last));
    const [issuer] = at === -1 ? [] : rest.splice(at, 1);
    if (issuer === undefined) break;
    ordered.push(issuer);
    last = issuer;
  }
  ordered.push(...rest);
  const wasInOrder = ordered.every((each, at) => each === certificates[at]);
  return { certificates: ordered, wasInOrder };
}

/** By name and key identifier, and by the signature itself: two authorities may have the same name. */
function isIssuer(issuer: X509Certificate, of: X509Certificate): boolean {
  return of.checkIssued(issuer) && of.verify(issuer.publicKey);
}
