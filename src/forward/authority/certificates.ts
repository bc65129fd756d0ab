import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  sign,
  X509Certificate,
} from 'node:crypto';
import { isIP } from 'node:net';
import { der } from '../../lib/index.ts';

const {
  bits,
  boolean,
  element,
  elementsIn,
  explicit,
  implicit,
  octets,
  oid,
  readElement,
  sequence,
  TAG,
  time,
  unsigned,
  utf8,
} = der;

/**
 * A private certificate authority and the leaves it signs (RFC 5280). No file and no socket is touched here.
 *
 * Leaves are written in DER by hand and signed by node:crypto: 0.1 ms each, where libraries take 3 to 30 ms. The structure is
 * small and always the same, and OpenSSL checks it in the tests.
 */

/** A certificate and its private key, as PEM. */
export interface PemPair {
  readonly cert: string;
  readonly key: string;
}

/** An authority that can sign leaves. */
export interface Authority {
  /** PEM, for clients to trust. */
  readonly cert: string;
  readonly notAfter: Date;
  /** SHA-256 of the certificate, as browsers and `openssl x509 -fingerprint` show it. */
  readonly fingerprint: string;
  /** DER of its subject. Leaves repeat it as their issuer byte for byte: otherwise clients would not find the chain. */
  readonly subject: Buffer;
  readonly keyIdentifier: Buffer;
  readonly key: KeyObject;
  /** Whether another authority signed it: clients may need it to build the chain. */
  readonly intermediate: boolean;
}

/** An authority that cannot be used. The message says what was found and what was expected. */
export class AuthorityError extends Error {
  override readonly name = 'AuthorityError';
}

const DAY = 86_400_000;
const AUTHORITY_DAYS = 3650;
/** Below 47 days, the limit for public leaves from 2029: clients may one day enforce it on private ones too. */
const LEAF_DAYS = 45;
/** Clocks differ: a client whose clock is behind must still accept the certificate. */
const BACKDATE = DAY;

const OID = {
  commonName: '2.5.4.3',
  organization: '2.5.4.10',
  subjectKeyIdentifier: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  authorityKeyIdentifier: '2.5.29.35',
  extendedKeyUsage: '2.5.29.37',
  serverAuth: '1.3.6.1.5.5.7.3.1',
} as const;

/** Characters of a common name (RFC 5280, ub-common-name). */
const MAX_COMMON_NAME = 64;

/** The bits of KeyUsage, from the left (RFC 5280 §4.2.1.3). */
const KEY_CERT_SIGN = 0x04;
const CERT_AND_CRL_SIGN = Buffer.from([0x06]);
const DIGITAL_SIGNATURE = Buffer.from([0x80]);

/**
 * Creates an authority: P-256, ten years, `CA:TRUE, pathlen:0`, only for signing certificates and revocation lists.
 *
 * @param options.host part of its name, so that several of them in a trust store can be told apart
 */
export function createAuthority({ host, now = new Date() }: { readonly host: string; readonly now?: Date }): PemPair {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const name = nameOf(`entrepot CA ${host}`.slice(0, MAX_COMMON_NAME), 'entrepot');
  const cert = certificate(
    {
      issuer: name,
      subject: name,
      publicKey,
      notBefore: new Date(now.getTime() - BACKDATE),
      notAfter: new Date(now.getTime() + AUTHORITY_DAYS * DAY),
      extensions: [
        critical(OID.basicConstraints, sequence(boolean(true), unsigned(Buffer.from([0])))),
        critical(OID.keyUsage, bits(CERT_AND_CRL_SIGN, 1)),
        extension(OID.subjectKeyIdentifier, octets(keyIdentifierOf(publicKey))),
      ],
    },
    privateKey,
  );
  return { cert, key: privateKey.export({ type: 'pkcs8', format: 'pem' }) };
}

/**
 * Opens the operator's authority: RSA (2048 bits or more) or EC, its key in PKCS#8, PKCS#1 or SEC 1.
 *
 * @param options.names what messages call the certificate and the key
 * @throws {AuthorityError} where it is no authority (no `CA:TRUE`, not for signing certificates), is outside its validity,
 * does not belong to the key, or cannot be read
 */
export function openAuthority(
  { cert, key }: PemPair,
  { now = new Date(), names = ['the certificate', 'the key'] }: { now?: Date; names?: readonly [string, string] } = {},
): Authority {
  const [certName, keyName] = names;
  const x509 = readable(
    () => new X509Certificate(cert),
    `${certName} holds no certificate that can be read; expected PEM, beginning with -----BEGIN CERTIFICATE-----`,
  );
  const privateKey = readable(
    () => createPrivateKey(key),
    `${keyName} holds no private key that can be read; expected PEM (PKCS#8, PKCS#1 or SEC 1) without a passphrase`,
  );
  const { subject, extensions } = readCertificate(x509.raw, certName);
  const constraints = extensions.get(OID.basicConstraints);
  const [isAuthority] = constraints === undefined ? [] : elementsIn(constraints);
  if (isAuthority?.tag !== TAG.boolean || isAuthority.content[0] === 0) {
    throw new AuthorityError(
      `${certName} is no certificate authority: it has CA:FALSE or no constraint; expected basicConstraints CA:TRUE`,
    );
  }
  const usage = extensions.get(OID.keyUsage);
  if (usage !== undefined && ((usage.content[1] ?? 0) & KEY_CERT_SIGN) === 0) {
    throw new AuthorityError(
      `${certName} may not sign certificates; expected keyCertSign among its keyUsage, or no keyUsage`,
    );
  }
  if (!x509.checkPrivateKey(privateKey)) {
    throw new AuthorityError(`${keyName} is not the key of ${certName}; expected a pair`);
  }
  if (now > x509.validToDate)
    throw new AuthorityError(`${certName} expired on ${x509.validTo}; create or get a new one`);
  if (now < x509.validFromDate) {
    throw new AuthorityError(`${certName} is valid only from ${x509.validFrom}; is this machine's clock right?`);
  }
  signatureAlgorithm(privateKey, keyName);
  return {
    cert: x509.toString(),
    notAfter: x509.validToDate,
    fingerprint: x509.fingerprint256,
    subject,
    keyIdentifier: extensions.get(OID.subjectKeyIdentifier)?.content ?? keyIdentifierOf(createPublicKey(privateKey)),
    key: privateKey,
    intermediate: x509.issuer !== x509.subject,
  };
}

/** A leaf certificate and the end of its validity. */
interface Leaf {
  /** PEM: the leaf, followed by the authority where that is an intermediate one. */
  readonly cert: string;
  readonly notAfter: Date;
}

/**
 * Signs a certificate for one host: an ASCII name as in DNS, or an IP address. Valid for 45 days, or until the authority
 * expires.
 *
 * @param publicKey of the leaf; leaves may share one
 */
export function signLeaf(
  authority: Authority,
  { name, publicKey, now = new Date() }: { readonly name: string; readonly publicKey: KeyObject; readonly now?: Date },
): Leaf {
  const notAfter = new Date(Math.min(now.getTime() + LEAF_DAYS * DAY, authority.notAfter.getTime()));
  // A subject may be empty where the alternative name, which clients check, is critical.
  const isNamed = name.length <= MAX_COMMON_NAME;
  const alternative = sequence(
    isIP(name) === 0 ? implicit(2, Buffer.from(name, 'latin1')) : implicit(7, ipBytes(name)),
  );
  const cert = certificate(
    {
      issuer: authority.subject,
      subject: isNamed ? nameOf(name) : sequence(),
      publicKey,
      notBefore: new Date(now.getTime() - BACKDATE),
      notAfter,
      extensions: [
        critical(OID.basicConstraints, sequence()),
        critical(OID.keyUsage, bits(DIGITAL_SIGNATURE, 7)),
        extension(OID.extendedKeyUsage, sequence(oid(OID.serverAuth))),
        (isNamed ? extension : critical)(OID.subjectAltName, alternative),
        extension(OID.subjectKeyIdentifier, octets(keyIdentifierOf(publicKey))),
        extension(OID.authorityKeyIdentifier, sequence(implicit(0, authority.keyIdentifier))),
      ],
    },
    authority.key,
  );
  return { cert: authority.intermediate ? cert + authority.cert : cert, notAfter };
}

interface CertificateContent {
  /** DER of a Name. */
  readonly issuer: Buffer;
  readonly subject: Buffer;
  readonly publicKey: KeyObject;
  readonly notBefore: Date;
  readonly notAfter: Date;
  readonly extensions: readonly Buffer[];
}

/** RFC 5280 §4.1, version 3. */
function certificate(content: CertificateContent, key: KeyObject): string {
  const { hash, identifier } = signatureAlgorithm(key, 'the key');
  const serial = randomBytes(16);
  // Positive and always of the same length: 126 random bits.
  serial[0] = ((serial[0] ?? 0) & 0x7f) | 0x40;
  const toBeSigned = sequence(
    explicit(0, unsigned(Buffer.from([2]))),
    unsigned(serial),
    identifier,
    content.issuer,
    sequence(time(content.notBefore), time(content.notAfter)),
    content.subject,
    content.publicKey.export({ type: 'spki', format: 'der' }),
    explicit(3, sequence(...content.extensions)),
  );
  const whole = sequence(toBeSigned, identifier, bits(sign(hash, toBeSigned, key)));
  const lines = whole.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`;
}

/** The signature algorithm of a key: RFC 5758 §3.2 for EC, RFC 4055 §5 for RSA, whose identifier ends in NULL. */
function signatureAlgorithm(key: KeyObject, name: string): { readonly hash: string; readonly identifier: Buffer } {
  const { modulusLength = 0, namedCurve } = key.asymmetricKeyDetails ?? {};
  if (key.asymmetricKeyType === 'ec') {
    if (namedCurve === 'prime256v1') return { hash: 'sha256', identifier: sequence(oid('1.2.840.10045.4.3.2')) };
    if (namedCurve === 'secp384r1') return { hash: 'sha384', identifier: sequence(oid('1.2.840.10045.4.3.3')) };
    if (namedCurve === 'secp521r1') return { hash: 'sha512', identifier: sequence(oid('1.2.840.10045.4.3.4')) };
    throw new AuthorityError(`${name} is on the curve ${namedCurve}; expected P-256, P-384 or P-521`);
  }
  if (key.asymmetricKeyType !== 'rsa') {
    throw new AuthorityError(`${name} is of the type ${key.asymmetricKeyType}; expected EC or RSA`);
  }
  if (modulusLength < 2048) {
    throw new AuthorityError(
      `${name} has ${modulusLength} bits, which clients no longer accept; expected 2048 or more`,
    );
  }
  return { hash: 'sha256', identifier: sequence(oid('1.2.840.113549.1.1.11'), element(0x05)) };
}

function extension(id: string, value: Buffer): Buffer {
  return sequence(oid(id), octets(value));
}

function critical(id: string, value: Buffer): Buffer {
  return sequence(oid(id), boolean(true), octets(value));
}

/** A Name: an optional organization, then the common name. */
function nameOf(commonName: string, organization?: string): Buffer {
  const attribute = (id: string, value: string): Buffer => element(TAG.set, sequence(oid(id), utf8(value)));
  return sequence(
    ...(organization === undefined ? [] : [attribute(OID.organization, organization)]),
    attribute(OID.commonName, commonName),
  );
}

/** SHA-1 of the bits of the key (RFC 5280 §4.2.1.2, method 1): an identifier only, no security depends on it. */
function keyIdentifierOf(publicKey: KeyObject): Buffer {
  const [, bitString] = elementsIn(readElement(publicKey.export({ type: 'spki', format: 'der' })));
  return createHash('sha1')
    .update(bitString?.content.subarray(1) ?? '')
    .digest();
}

function ipBytes(address: string): Buffer {
  if (isIP(address) === 4) return Buffer.from(address.split('.').map(Number));
  // The URL parser makes any spelling canonical: hexadecimal groups, the longest run of zeros as `::`.
  const canonical = new URL(`http://[${address}]/`).hostname.slice(1, -1);
  const [before = [], after = []] = canonical
    .split('::')
    .map((side) => side.split(':').filter((group) => group !== ''));
  const zeros = Array.from({ length: 8 - before.length - after.length }, () => '0');
  const groups = [...before, ...zeros, ...after].map((group) => Number.parseInt(group, 16));
  return Buffer.from(groups.flatMap((group) => [group >> 8, group & 0xff]));
}

interface ReadCertificate {
  readonly subject: Buffer;
  /** The value of each, by its identifier. */
  readonly extensions: ReadonlyMap<string, der.DerElement>;
}

/** Reads the parts of a certificate that node:crypto does not show. */
function readCertificate(bytes: Buffer, name: string): ReadCertificate {
  try {
    const [body] = elementsIn(readElement(bytes));
    const fields = body === undefined ? [] : elementsIn(body);
    // version, serialNumber, signature, issuer, validity, subject, subjectPublicKeyInfo, [1] [2] [3]
    const subject = fields[fields[0]?.tag === 0xa0 ? 5 : 4];
    const list = fields.find(({ tag }) => tag === 0xa3);
    const extensions = new Map<string, der.DerElement>();
    for (const each of list === undefined ? [] : elementsIn(elementsIn(list)[0] ?? { content: Buffer.alloc(0) })) {
      const parts = elementsIn(each);
      const value = parts.at(-1);
      const id = Object.values(OID).find((known) => parts[0] !== undefined && oid(known).equals(parts[0].whole));
      if (id !== undefined && value !== undefined) extensions.set(id, readElement(value.content));
    }
    if (subject === undefined) throw new RangeError('it has no subject');
    return { subject: subject.whole, extensions };
  } catch (cause) {
    throw new AuthorityError(`${name} cannot be read: ${(cause as Error).message}`, { cause });
  }
}

/** @throws {AuthorityError} with the message, which leaves the cause out: that may quote what it could not read */
function readable<T>(read: () => T, message: string): T {
  try {
    return read();
  } catch (cause) {
    throw new AuthorityError(message, { cause });
  }
}
