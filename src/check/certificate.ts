import type { PeerCertificate } from 'node:tls';
import type { HttpError } from '../net/index.ts';
import type { CertificateSummary } from './report.ts';

const DAY = 86_400_000;
const MAX_NAMES = 20;

/** Summarizes a certificate; null where there is none. @param now milliseconds since 1970 */
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

/** `example.com`, or `Example CA (Example Ltd)`: the common name, and the organisation where it adds something. */
function nameOf(name: PeerCertificate['subject'] | undefined): string {
  const common = first(name?.CN);
  const organisation = first(name?.O);
  if (common === undefined) return organisation ?? 'no name';
  return organisation === undefined || common.includes(organisation) ? common : `${common} (${organisation})`;
}

/** Each part may occur more than once, and holds whatever the server writes into it. */
function first(part: string | string[] | undefined): string | undefined {
  const text = [part].flat()[0];
  return text === undefined ? undefined : plain(text);
}

/** Text of a server, made safe for a terminal. */
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

/** The fault of a certificate, and the remedy. */
export interface CertificateProblem {
  readonly words: string;
  readonly remedy: string;
}

/** The fault that an error code stands for; undefined where the code is not about a certificate. */
export function certificateProblem(
  code: string,
  { host, certificate }: { readonly host: string; readonly certificate: CertificateSummary | null },
): CertificateProblem | undefined {
  const signer = certificate === null ? 'an authority' : `${certificate.issuer}, an authority`;
  const until = certificate?.notAfter.slice(0, 10) ?? 'an earlier day';
  const from = certificate?.notBefore.slice(0, 10) ?? 'a later day';
  const names = certificate === null || certificate.names.length === 0 ? 'other names' : listed(certificate.names);
  switch (code) {
    case 'CERT_HAS_EXPIRED':
      return {
        words: `its certificate expired on ${until}`,
        remedy: 'Check the clock of this machine; if it is right, the upstream has to renew its certificate.',
      };
    case 'CERT_NOT_YET_VALID':
      return { words: `its certificate is not valid before ${from}`, remedy: 'Set the clock of this machine.' };
    case 'ERR_TLS_CERT_ALTNAME_INVALID':
    case 'HOSTNAME_MISMATCH':
      return {
        words: `its certificate is for ${names}, not for ${host}`,
        remedy:
          'Another server answers under this name. If the addresses above are not its own, the network gives false answers: ' +
          'set transport.dns.servers. If they are, correct the url.',
      };
    case 'DEPTH_ZERO_SELF_SIGNED_CERT':
      return {
        words: 'its certificate is self-signed',
        remedy: 'If it is your own, set tls.ca_file of this upstream to its file.',
      };
    case 'SELF_SIGNED_CERT_IN_CHAIN':
    case 'UNABLE_TO_GET_ISSUER_CERT':
    case 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY':
    case 'UNABLE_TO_VERIFY_LEAF_SIGNATURE':
    case 'CERT_UNTRUSTED':
    case 'INVALID_CA':
      return {
        words: `its certificate is signed by ${signer} that this machine does not trust`,
        remedy:
          'If the authority is your own, or belongs to a proxy of yours that decrypts TLS, set transport.ca_file ' +
          '(or tls.ca_file of this upstream) to its certificate.',
      };
    case 'CERT_REVOKED':
      return { words: 'its certificate was revoked', remedy: 'The upstream has to get another certificate.' };
    default:
      return undefined;
  }
}

/** The code of the system or of OpenSSL behind an error; empty where there is none. */
export function codeOf({ cause }: HttpError): string {
  return cause instanceof Error && 'code' in cause && typeof cause.code === 'string' ? cause.code : '';
}

function listed(names: readonly string[]): string {
  const shown = names.slice(0, 3).join(', ');
  return names.length > 3 ? `${shown} and ${names.length - 3} more` : shown;
}
