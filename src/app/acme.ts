import type { AcmeCertificates, AcmeSpec, AcmeStatus } from '../acme/index.ts';
import type { CertificateStatus } from '../admin/index.ts';
import type { Config } from '../config/index.ts';
import type { FrontDoor } from '../server/index.ts';
import type { Live } from './apply-config.ts';
import type { ServerParts } from './parts.ts';
import { acmeSpecsOf, loadAcme, loadNet, loadUpstream } from './settings/index.ts';

interface AcmeParts extends Pick<ServerParts, 'telemetry' | 'upstreamSets'> {
  /** Called when a certificate is ordered, which none is before the server has started. */
  readonly live: () => Live;
  readonly frontDoor: () => FrontDoor;
}

/** The certificates that this server orders; undefined where no listener wants one: its room is not loaded then. */
export async function openAcme(
  config: Config,
  { telemetry, upstreamSets, live, frontDoor }: AcmeParts,
): Promise<AcmeCertificates | undefined> {
  if (acmeSpecsOf(config).length === 0) return undefined;
  const { AcmeCertificates } = await loadAcme();
  return new AcmeCertificates({
    telemetry,
    async openClient({ caFile }: AcmeSpec) {
      const { transport } = live().current.upstreams;
      const caFiles = [...transport.tls.caFiles, ...(caFile === undefined ? [] : [caFile])];
      // `transport.insecure_skip_verify` is about upstreams: a forged ACME server is never accepted.
      const tls = { caFiles, insecureSkipVerify: false };
      const [{ createHttpClient }, options] = await Promise.all([
        loadNet(),
        upstreamSets.clients.optionsFor({ ...transport, tls }),
      ]);
      return { http: createHttpClient(options), allowPrivate: transport.allowPrivate };
    },
    async readSecret(secret) {
      const { readSecret } = await loadUpstream();
      return readSecret(secret);
    },
    onStored: () => frontDoor().checkCertificates(),
  });
}

/** The certificates in use, and those that listeners wait for. */
export function describeCertificates(
  frontDoor: Pick<FrontDoor, 'certificates'>,
  acme: Pick<AcmeCertificates, 'status'> | undefined,
): readonly CertificateStatus[] {
  const ordered = new Map((acme?.status ?? []).map((each) => [each.file, each]));
  const used = frontDoor.certificates.map(({ listener, subject, expiresAt, file }) => {
    const renewal = ordered.get(file);
    return { listener, names: subject, expiresAt, ...(renewal === undefined ? {} : { renewal: renewalOf(renewal) }) };
  });
  const files = new Set(frontDoor.certificates.map(({ file }) => file));
  const awaited = [...ordered.values()].filter(({ file }) => !files.has(file));
  return [...used, ...awaited.map((each) => ({ names: each.domains.join(', '), renewal: renewalOf(each) }))];
}

function renewalOf({ server, orderAt, isOrdering, failure }: AcmeStatus): NonNullable<CertificateStatus['renewal']> {
  const { failures, error } = failure ?? {};
  return {
    server,
    orderAt,
    isOrdering,
    ...(failures === undefined ? {} : { failures }),
    ...(error === undefined ? {} : { error }),
  };
}
