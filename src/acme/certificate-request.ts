import { createPublicKey, type KeyObject, sign } from 'node:crypto';
import { der } from '../lib/index.ts';

const { bits, element, explicit, implicit, octets, oid, sequence, TAG, unsigned } = der;

const EXTENSION_REQUEST = '1.2.840.113549.1.9.14';
const SUBJECT_ALT_NAME = '2.5.29.17';
const ECDSA_WITH_SHA256 = '1.2.840.10045.4.3.2';
const DNS_NAME = 2;

/**
 * A certificate signing request (RFC 2986) in DER. Its subject is empty: authorities take the names from the extension alone.
 *
 * @param key private, on P-256
 * @param domains in ASCII
 */
export function certificateRequest(key: KeyObject, domains: readonly string[]): Buffer {
  const names = sequence(...domains.map((domain) => implicit(DNS_NAME, Buffer.from(domain, 'latin1'))));
  const extensions = sequence(sequence(oid(SUBJECT_ALT_NAME), octets(names)));
  const toBeSigned = sequence(
    unsigned(Buffer.from([0])),
    sequence(),
    createPublicKey(key).export({ type: 'spki', format: 'der' }),
    // [0] IMPLICIT SET OF: the same bytes as an explicit tag around the attributes.
    explicit(0, sequence(oid(EXTENSION_REQUEST), element(TAG.set, extensions))),
  );
  return sequence(toBeSigned, sequence(oid(ECDSA_WITH_SHA256)), bits(sign('sha256', toBeSigned, key)));
}
