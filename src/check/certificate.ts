import type { PeerCertificate } from 'node:tls';
import type { CertificateSummary } from './report.ts';

const DAY = 86_400_000;
const MAX_NAMES = 20;

/** What a certificate says of itself; null where there is none. @param now milliseconds since 1970 */
export function summarizeCertificate(certificate: PeerCertificate, now: number): CertificateSummary | null {
  const notAfter = Date.parse(certificate.valid_to ?? '');
  const notBefore = Date.parse(certificate.valid_from ?? '');
  if (Number.isNaN(notAfter) || Number.isNaN(notBefore)) return null;
  return {
    subject: nameOf(certificate.subject),
    issuer: nameOf(certificate.issuer),
    names: namesIn(certificate.subjectaltname),
    notBefore: new Date(notBefore).toISOString(),
    notAfter: new Date(notAfter).toISOString(),
    daysLeft: Math.floor((notAfter - now) / DAY),
    fingerprint: certificate.fingerprint256,
  };
}

/** `example.com`, or `Example CA (Example Ltd)`: the common name, and the organisation where it says more. */
function nameOf(name: PeerCertificate['subject'] | undefined): string {
  const common = first(name?.CN);
  const organisation = first(name?.O);
  if (common === undefined) return organisation ?? 'nobody named';
  return organisation === undefined || common.includes(organisation) ? common : `${common} (${organisation})`;
}

// Each part may be there more than once, and a server writes what it likes into it.
function first(part: string | string[] | undefined): string | undefined {
  const text = [part].flat()[0];
  return text === undefined ? undefined : plain(text);
}

/** A server's own words, fit for a terminal. */
export function plain(text: string): string {
  return text.replace(/\p{Cc}/gu, '?').slice(0, 120);
}

function namesIn(alternatives: string | undefined): string[] {
  return (alternatives ?? '')
    .split(', ')
    .map((each) => /^(?:DNS|IP Address):(.+)$/.exec(each)?.[1])
    .filter((each) => each !== undefined)
    .slice(0, MAX_NAMES)
    .map(plain);
}

/** What is wrong with a certificate, by the code of the error, and what would do. */
export interface CertificateProblem {
  readonly words: string;
  readonly remedy: string;
}

/** Undefined where the code is not about a certificate. */
export function certificateProblem(
  code: string,
  { host, certificate }: { readonly host: string; readonly certificate: CertificateSummary | null },
): CertificateProblem | undefined {
  const issuer = certificate?.issuer ?? 'somebody';
  const until = certificate?.notAfter.slice(0, 10) ?? 'some day past';
  const from = certificate?.notBefore.slice(0, 10) ?? 'some day to come';
  const names = certificate === null || certificate.names.length === 0 ? 'other names' : listed(certificate.names);
  switch (code) {
    case 'CERT_HAS_EXPIRED':
      return {
        words: `its certificate ended on ${until}`,
        remedy: 'Look at the clock of this machine; if it is right, the upstream has to renew its certificate.',
      };
    case 'CERT_NOT_YET_VALID':
      return { words: `its certificate begins on ${from}`, remedy: 'Set the clock of this machine.' };
    case 'ERR_TLS_CERT_ALTNAME_INVALID':
    case 'HOSTNAME_MISMATCH':
      return {
        words: `its certificate is for ${names}, not for ${host}`,
        remedy:
          'Another server answers under this name: if the addresses above are not its own, the network lies about names, ' +
          'and transport.dns.servers helps; if they are, correct the url.',
      };
    case 'DEPTH_ZERO_SELF_SIGNED_CERT':
      return {
        words: 'its certificate is signed by itself',
        remedy: 'If it is yours, name it under tls.ca_file of this upstream.',
      };
    case 'SELF_SIGNED_CERT_IN_CHAIN':
    case 'UNABLE_TO_GET_ISSUER_CERT':
    case 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY':
    case 'UNABLE_TO_VERIFY_LEAF_SIGNATURE':
    case 'CERT_UNTRUSTED':
    case 'INVALID_CA':
      return {
        words: `its certificate is signed by ${issuer}, whom this machine does not know`,
        remedy:
          'If that is your own house, or a network of yours that looks into TLS, name its authority under ' +
          'transport.ca_file (or tls.ca_file of this upstream).',
      };
    case 'CERT_REVOKED':
      return { words: 'its certificate was withdrawn', remedy: 'The upstream has to get another certificate.' };
    default:
      return undefined;
  }
}

function listed(names: readonly string[]): string {
  const shown = names.slice(0, 3).join(', ');
  return names.length > 3 ? `${shown} and ${names.length - 3} more` : shown;
}
