import { type DialMoment, type HttpError, isPublicAddress } from '../net/index.ts';
import { type CertificateProblem, certificateProblem, codeOf } from './certificate.ts';
import { connectionRemedy } from './remedy.ts';
import {
  type CertificateSummary,
  type DnsStep,
  type OutboundProxyStep,
  type StepReport,
  type TcpStep,
  type TlsStep,
  tenths,
} from './report.ts';

// The record of a dial becomes steps. Everything here is pure.

/** The result of a handshake. */
export interface TlsFacts {
  readonly version: string | null;
  readonly certificate: CertificateSummary | null;
  /** The code of the certificate's fault, where the handshake did not require trust. */
  readonly untrusted: string | undefined;
}

export interface TimedMoment<Moment extends DialMoment = DialMoment> {
  readonly at: number;
  readonly moment: Moment;
}

/** Everything that was observed of one dial. Times in milliseconds of the monotonic clock. */
export interface DialRecord {
  readonly host: string;
  readonly port: number;
  readonly secure: boolean;
  readonly startedAt: number;
  readonly moments: readonly TimedMoment[];
  readonly endedAt: number;
  /** The resolvers that were asked, and the trouble of earlier ones; the last entry gave the answer. */
  readonly resolvers: readonly { readonly by: string; readonly trouble?: string | undefined }[];
  readonly fallbacks: TlsStep['fallbacks'];
  /** Undefined where the dial failed before its handshake, or there is no TLS. */
  readonly tls: TlsFacts | undefined;
  /** Undefined where the dial succeeded. */
  readonly error: HttpError | undefined;
  /** Whether certificates are verified. */
  readonly verifies: boolean;
}

/** Days left below which a certificate is a warning: most are renewed 30 days before they expire. */
const FEW_DAYS = 14;

/** The steps of a dial, up to the one that failed. */
export function connectionSteps(dial: DialRecord): StepReport[] {
  const failedIn = dial.error === undefined ? undefined : failedStep(dial);
  const order = ['dns', 'tcp', 'outbound-proxy', 'tls'] as const;
  const upTo = failedIn === undefined ? order.length : order.indexOf(failedIn) + 1;
  const makers = { dns: dnsStep, tcp: tcpStep, 'outbound-proxy': outboundProxyStep, tls: tlsStep };
  const steps = order
    .slice(0, upTo)
    .map((step) => makers[step](dial, step === failedIn ? dial.error : undefined))
    .filter((step) => step !== undefined);
  return failedIn === 'tcp' || failedIn === 'tls' ? doubtNames(steps) : steps;
}

/** Adds a warning to the name step: networks that censor a name often answer with a private address. */
function doubtNames(steps: readonly StepReport[]): StepReport[] {
  return steps.map((step) => {
    if (step.step !== 'dns' || step.resolver !== 'system' || step.addresses.some(isPublicAddress)) return step;
    const remedy = `${shown(step.addresses)} is not a public address. If ${step.host} is a public name, the network gives a false answer: set transport.dns.servers.`;
    return { ...step, outcome: 'warning', remedy };
  });
}

/** The step in which a dial failed, by its last moment. */
function failedStep({ moments, error, secure }: DialRecord): 'dns' | 'tcp' | 'outbound-proxy' | 'tls' {
  switch (moments.at(-1)?.moment.kind) {
    case 'asked':
      return 'dns';
    case 'handshake':
    case 'tunnelled':
      return 'tls';
    case 'connected':
      return moments.some(({ moment }) => moment.kind === 'through') ? 'outbound-proxy' : secure ? 'tls' : 'tcp';
    case undefined:
      // Nothing was dialled: the settings cannot be used, or the address may not be dialled.
      return error?.code === 'tls' ? 'tls' : error?.code === 'refused' ? 'outbound-proxy' : 'tcp';
    default:
      return 'tcp';
  }
}

type MomentOf<Kind extends DialMoment['kind']> = Extract<DialMoment, { kind: Kind }>;

function first<Kind extends DialMoment['kind']>(
  { moments }: DialRecord,
  kind: Kind,
): TimedMoment<MomentOf<Kind>> | undefined {
  return moments.find((each): each is TimedMoment<MomentOf<Kind>> => each.moment.kind === kind);
}

function dnsStep(dial: DialRecord, error: HttpError | undefined): DnsStep | undefined {
  const asked = first(dial, 'asked');
  if (asked === undefined) return undefined;
  const { host } = asked.moment;
  const found = first(dial, 'resolved');
  const addresses = found?.moment.addresses ?? [];
  const { by: resolver = 'system', trouble } = dial.resolvers.at(-1) ?? {};
  const by = resolver === 'system' ? 'the system' : resolver === 'hosts' ? 'transport.dns.hosts' : resolver;
  const common = { step: 'dns' as const, host, resolver, addresses, durationMs: between(asked.at, found?.at, dial) };
  if (error !== undefined) {
    const summary = error.code === 'forbidden' ? error.message : `${error.message}; the resolver was ${by}`;
    return failed(common, summary, connectionRemedy('dns', error, { resolver }));
  }
  return {
    ...common,
    outcome: trouble === undefined ? 'ok' : 'warning',
    summary: `${host} is ${shown(addresses)}, according to ${by}${trouble === undefined ? '' : ` (${trouble})`}`,
    ...(trouble === undefined ? {} : { remedy: 'Check the name servers under transport.dns.servers.' }),
  };
}

function tcpStep(dial: DialRecord, error: HttpError | undefined): TcpStep {
  const connected = first(dial, 'connected');
  const address = connected?.moment.address ?? null;
  const failedAttempts = dial.moments.flatMap(({ moment }) =>
    moment.kind === 'attempt-failed' ? [{ address: moment.address, reason: moment.reason }] : [],
  );
  const began = (first(dial, 'resolved') ?? first(dial, 'connecting'))?.at ?? dial.startedAt;
  const outboundProxy = first(dial, 'through')?.moment.outboundProxy;
  const port = outboundProxy === undefined ? dial.port : Number(/:(\d+)$/.exec(outboundProxy)?.[1] ?? 0);
  const durationMs = between(began, connected?.at, dial);
  const common = { step: 'tcp' as const, address, port, failedAttempts, durationMs };
  if (error !== undefined) return failed(common, error.message, connectionRemedy('tcp', error, { outboundProxy }));
  const tried = [...new Set(failedAttempts.map((each) => `${each.address} (${each.reason})`))];
  const before = tried.length === 0 ? '' : `, after ${tried.join(', ')}`;
  return { ...common, outcome: 'ok', summary: `connected to ${addressAndPort(address, port)}${before}` };
}

function outboundProxyStep(dial: DialRecord, error: HttpError | undefined): OutboundProxyStep | undefined {
  const outboundProxy = first(dial, 'through')?.moment.outboundProxy;
  if (outboundProxy === undefined && error === undefined) return undefined;
  const began = first(dial, 'connected')?.at ?? dial.startedAt;
  const durationMs = between(began, first(dial, 'tunnelled')?.at, dial);
  const common = { step: 'outbound-proxy' as const, address: outboundProxy ?? null, durationMs };
  if (error !== undefined) {
    return failed(common, error.message, connectionRemedy('outbound-proxy', error, { outboundProxy }));
  }
  return { ...common, outcome: 'ok', summary: `${outboundProxy} connected to ${dial.host}:${dial.port}` };
}

function tlsStep(dial: DialRecord, error: HttpError | undefined): TlsStep | undefined {
  if (!dial.secure) return undefined;
  const { tls, fallbacks, host } = dial;
  const last = dial.moments.findLast(({ moment }) => moment.kind === 'handshake')?.moment;
  const firstFragmentLen = last?.kind === 'handshake' ? last.firstFragmentLen : 0;
  const certificate = tls?.certificate ?? null;
  const began = first(dial, 'handshake')?.at ?? dial.startedAt;
  const common = {
    step: 'tls' as const,
    version: tls?.version ?? null,
    firstFragmentLen,
    fallbacks,
    certificate,
    trusted: false,
    durationMs: between(began, undefined, dial),
  };
  if (error !== undefined) {
    const problem = problemOf(codeOf(error), dial);
    const remedy = problem?.remedy ?? connectionRemedy('tls', error, {});
    return failed(common, problem?.words ?? error.message, remedy);
  }
  const hello =
    firstFragmentLen > 0
      ? `, ClientHello cut after ${firstFragmentLen} ${firstFragmentLen === 1 ? 'byte' : 'bytes'}`
      : fallbacks.length > 0
        ? ', ClientHello in one piece'
        : '';
  const refused =
    fallbacks.length === 0 ? '' : ` (${fallbacks.map(({ from, reason }) => `${from}: ${reason}`).join(', ')})`;
  const handshake = `${tls?.version ?? 'TLS'}${hello}${refused}`;
  const shownCertificate =
    certificate === null
      ? 'no readable certificate'
      : `certificate of ${certificate.issuer} for ${certificate.subject}, ${lasting(certificate.daysLeft)}`;
  const summary = `${handshake}; ${shownCertificate}`;
  if (tls?.untrusted !== undefined || !dial.verifies) {
    const problem = tls?.untrusted === undefined ? undefined : problemOf(tls.untrusted, dial);
    return {
      ...common,
      outcome: 'warning',
      summary: `${summary}; not verified${problem === undefined ? '' : `: ${problem.words}`}`,
      remedy: `insecure_skip_verify lets any server pass for ${host}. ${problem?.remedy ?? 'Remove it: this certificate may well be trusted.'}`,
    };
  }
  if (certificate !== null && certificate.daysLeft < FEW_DAYS) {
    const remedy = `The certificate expires on ${certificate.notAfter.slice(0, 10)}; the upstream has to renew it.`;
    return { ...common, outcome: 'warning', trusted: true, summary, remedy };
  }
  return { ...common, outcome: 'ok', trusted: true, summary };
}

function failed<Common>(
  common: Common,
  summary: string,
  remedy: string,
): Common & { readonly outcome: 'failed'; readonly summary: string; readonly remedy: string } {
  return { ...common, outcome: 'failed', summary, remedy };
}

function problemOf(code: string, { host, tls }: DialRecord): CertificateProblem | undefined {
  return certificateProblem(code, { host, certificate: tls?.certificate ?? null });
}

function between(from: number, to: number | undefined, { endedAt }: DialRecord): number {
  return tenths((to ?? endedAt) - from);
}

function shown(addresses: readonly string[]): string {
  const some = addresses.slice(0, 4).join(', ');
  return addresses.length > 4 ? `${some} and ${addresses.length - 4} more` : some;
}

function addressAndPort(address: string | null, port: number): string {
  if (address === null) return `port ${port}`;
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}

function lasting(days: number): string {
  if (days < 0) return 'expired';
  return days === 1 ? '1 day left' : `${days} days left`;
}
