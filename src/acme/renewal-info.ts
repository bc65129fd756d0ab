import type { X509Certificate } from 'node:crypto';
import { der } from '../lib/index.ts';
import type { AcmeServer } from './acme-server.ts';
import { isRecord } from './problem.ts';

const { elementsIn, oid, readElement } = der;

/** When the ACME server wants a certificate renewed (RFC 9773); milliseconds since the epoch. */
export interface RenewalWindow {
  readonly start: number;
  readonly end: number;
}

const AUTHORITY_KEY_IDENTIFIER = oid('2.5.29.35');
const KEY_IDENTIFIER_TAG = 0x80;
const EXTENSIONS_TAG = 0xa3;

/** The identifier of a certificate at its authority (RFC 9773 §4.1); undefined where the certificate cannot have one. */
export function renewalIdOf(certificate: X509Certificate): string | undefined {
  try {
    const [body] = elementsIn(readElement(certificate.raw));
    const fields = body === undefined ? [] : elementsIn(body);
    // [0] version, serialNumber, … [3] extensions
    const serial = fields[fields[0]?.tag === 0xa0 ? 1 : 0];
    const [list] = fields.filter(({ tag }) => tag === EXTENSIONS_TAG).flatMap(elementsIn);
    const extension = (list === undefined ? [] : elementsIn(list))
      .map(elementsIn)
      .find(([id]) => id?.whole.equals(AUTHORITY_KEY_IDENTIFIER) === true);
    const value = extension?.at(-1);
    const parts = value === undefined ? [] : elementsIn(readElement(value.content));
    const key = parts.find(({ tag }) => tag === KEY_IDENTIFIER_TAG);
    if (serial === undefined || key === undefined) return undefined;
    return `${key.content.toString('base64url')}.${serial.content.toString('base64url')}`;
  } catch {
    return undefined;
  }
}

/** The window of a certificate; undefined where the server offers none. @throws {Error} where the server cannot be asked */
export async function fetchRenewalWindow(
  server: AcmeServer,
  { id }: { readonly id: string },
): Promise<RenewalWindow | undefined> {
  const base = await server.find('renewalInfo');
  if (base === undefined) return undefined;
  const { fields } = await server.get(`${base.replace(/\/$/, '')}/${id}`);
  const found = fields['suggestedWindow'];
  if (!isRecord(found)) return undefined;
  const start = Date.parse(String(found['start']));
  const end = Date.parse(String(found['end']));
  return Number.isNaN(start) || Number.isNaN(end) || end <= start ? undefined : { start, end };
}
