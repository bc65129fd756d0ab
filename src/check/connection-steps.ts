import { type DialMoment, type HttpError, isPublicAddress } from '../net/index.ts';
import { type CertificateProblem, certificateProblem } from './certificate.ts';
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

// What was heard of a dial becomes steps. Nothing here waits or connects.

/** What a handshake came to. */
export interface TlsFacts {
  readonly version: string | null;
  readonly certificate: CertificateSummary | null;
  /** The code by which it would not be trusted, where it was not asked to be. */
  readonly untrusted: string | undefined;
}

/** All that was heard of one dial. Times in milliseconds since any one moment. */
export interface HeardDial {
  readonly host: string;
  readonly port: number;
  readonly secure: boolean;
  readonly startedAt: number;
  readonly moments: readonly { readonly at: number; readonly moment: DialMoment }[];
  readonly endedAt: number;
  /** Who said what the name means, and what kept others from it; the last word counts. */
  readonly answered: readonly { readonly by: string; readonly trouble?: string | undefined }[];
  readonly fallbacks: TlsStep['fallbacks'];
  /** Undefined where the dial failed before it came to that, or there is no TLS. */
  readonly tls: TlsFacts | undefined;
  /** Undefined where it was done. */
  readonly error: HttpError | undefined;
  /** Whether certificates are looked at at all. */
  readonly verifies: boolean;
}

/** A certificate that ends within so many days wants somebody's attention: most are renewed 30 days before. */
const FEW_DAYS = 14;

/** The steps of a dial, up to the one that failed. */
export function connectionSteps(heard: HeardDial): StepReport[] {
  const failedIn = heard.error === undefined ? undefined : failedStep(heard);
  const order = ['dns', 'tcp', 'outbound-proxy', 'tls'] as const;
  const upTo = failedIn === undefined ? order.length : order.indexOf(failedIn) + 1;
  const makers = { dns: dnsStep, tcp: tcpStep, 'outbound-proxy': outboundProxyStep, tls: tlsStep };
  const steps = order
    .slice(0, upTo)
    .map((step) => makers[step](heard, step === failedIn ? heard.error : undefined))
    .filter((step) => step !== undefined);
  return failedIn === 'tcp' || failedIn === 'tls' ? doubtingNames(steps) : steps;
}

/** Networks that hide a name often answer with an address of nobody: where it led to nothing, that is worth a word. */
function doubtingNames(steps: readonly StepReport[]): StepReport[] {
  return steps.map((step) => {
    if (step.step !== 'dns' || step.resolver !== 'system' || step.addresses.some(isPublicAddress)) return step;
    const remedy = `${shown(step.addresses)} is no public address: if ${step.host} is a public name, the network lies about it, and transport.dns.servers helps.`;
    return { ...step, outcome: 'warning', remedy };
  });
}

/** Where it ended, by what was heard last. */
function failedStep({ moments, error, secure }: HeardDial): 'dns' | 'tcp' | 'outbound-proxy' | 'tls' {
  switch (moments.at(-1)?.moment.kind) {
    case 'asked':
      return 'dns';
    case 'handshake':
    case 'tunnelled':
      return 'tls';
    case 'connected':
      return moments.some(({ moment }) => moment.kind === 'through') ? 'outbound-proxy' : secure ? 'tls' : 'tcp';
    case undefined:
      // Before anything was dialled: settings that cannot be used, or an address that may not be dialled.
      return error?.code === 'tls' ? 'tls' : error?.code === 'refused' ? 'outbound-proxy' : 'tcp';
    default:
      return 'tcp';
  }
}

function timeOf(heard: HeardDial, kind: DialMoment['kind']): number | undefined {
  return heard.moments.find(({ moment }) => moment.kind === kind)?.at;
}

function dnsStep(heard: HeardDial, error: HttpError | undefined): DnsStep | undefined {
  const asked = heard.moments.find(({ moment }) => moment.kind === 'asked');
  if (asked?.moment.kind !== 'asked') return undefined;
  const { host } = asked.moment;
  const found = heard.moments.find(({ moment }) => moment.kind === 'resolved');
  const addresses = found?.moment.kind === 'resolved' ? found.moment.addresses : [];
  const last = heard.answered.at(-1);
  const resolver = last?.by ?? 'system';
  const by = resolver === 'system' ? 'the system' : resolver === 'hosts' ? 'transport.dns.hosts' : resolver;
  const common = { step: 'dns' as const, host, resolver, addresses, durationMs: between(asked.at, found?.at, heard) };
  if (error !== undefined) {
    return {
      ...common,
      outcome: 'failed',
      summary: error.code === 'forbidden' ? error.message : `${error.message}; asked was ${by}`,
      remedy: connectionRemedy('dns', error, { resolver }),
    };
  }
  const trouble = last?.trouble;
  return {
    ...common,
    outcome: trouble === undefined ? 'ok' : 'warning',
    summary: `${host} is ${shown(addresses)}, says ${by}${trouble === undefined ? '' : ` (${trouble})`}`,
    ...(trouble === undefined ? {} : { remedy: 'Look at the name servers under transport.dns.servers.' }),
  };
}

function tcpStep(heard: HeardDial, error: HttpError | undefined): TcpStep {
  const connected = heard.moments.find(({ moment }) => moment.kind === 'connected');
  const address = connected?.moment.kind === 'connected' ? (connected.moment.address ?? null) : null;
  const failedAttempts = heard.moments.flatMap(({ moment }) =>
    moment.kind === 'attempt-failed' ? [{ address: moment.address, reason: moment.reason }] : [],
  );
  const began = timeOf(heard, 'resolved') ?? timeOf(heard, 'connecting') ?? heard.startedAt;
  const proxy = proxyOf(heard);
  const port = proxy === undefined ? heard.port : Number(/:(\d+)$/.exec(proxy)?.[1] ?? 0);
  const common = {
    step: 'tcp' as const,
    address,
    port,
    failedAttempts,
    durationMs: between(began, connected?.at, heard),
  };
  if (error !== undefined) {
    return {
      ...common,
      outcome: 'failed',
      summary: error.message,
      remedy: connectionRemedy('tcp', error, { outboundProxy: proxy }),
    };
  }
  const tried = [...new Set(failedAttempts.map((each) => `${each.address} (${each.reason})`))];
  const before = tried.length === 0 ? '' : `, after ${tried.join(', ')}`;
  return { ...common, outcome: 'ok', summary: `connected to ${addressAndPort(address, port)}${before}` };
}

function outboundProxyStep(heard: HeardDial, error: HttpError | undefined): OutboundProxyStep | undefined {
  const address = proxyOf(heard);
  if (address === undefined && error === undefined) return undefined;
  const began = timeOf(heard, 'connected') ?? heard.startedAt;
  const common = {
    step: 'outbound-proxy' as const,
    address: address ?? null,
    durationMs: between(began, timeOf(heard, 'tunnelled'), heard),
  };
  if (error !== undefined) {
    return {
      ...common,
      outcome: 'failed',
      summary: error.message,
      remedy: connectionRemedy('outbound-proxy', error, { outboundProxy: address }),
    };
  }
  return { ...common, outcome: 'ok', summary: `${address} connected to ${heard.host}:${heard.port}` };
}

function tlsStep(heard: HeardDial, error: HttpError | undefined): TlsStep | undefined {
  if (!heard.secure) return undefined;
  const { tls, fallbacks, host } = heard;
  const last = heard.moments.findLast(({ moment }) => moment.kind === 'handshake')?.moment;
  const firstFragmentLen = last?.kind === 'handshake' ? last.firstFragmentLen : 0;
  const certificate = tls?.certificate ?? null;
  const began = timeOf(heard, 'handshake') ?? heard.startedAt;
  const common = {
    step: 'tls' as const,
    version: tls?.version ?? null,
    firstFragmentLen,
    fallbacks,
    certificate,
    durationMs: between(began, undefined, heard),
  };
  if (error !== undefined) {
    const problem = problemOf(codeOf(error), heard);
    return {
      ...common,
      outcome: 'failed',
      trusted: false,
      summary: problem === undefined ? error.message : problem.words,
      remedy: problem?.remedy ?? connectionRemedy('tls', error, { firstFragmentLen, fallbacks }),
    };
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
      ? 'no certificate to be read'
      : `certificate of ${certificate.issuer} for ${certificate.subject}, ${lasting(certificate.daysLeft)}`;
  const summary = `${handshake}; ${shownCertificate}`;
  if (tls?.untrusted !== undefined || !heard.verifies) {
    const problem = tls?.untrusted === undefined ? undefined : problemOf(tls.untrusted, heard);
    return {
      ...common,
      outcome: 'warning',
      trusted: false,
      summary: `${summary}; not verified${problem === undefined ? '' : `: ${problem.words}`}`,
      remedy: `insecure_skip_verify lets anybody be ${host}. ${problem?.remedy ?? 'Leave it out: this certificate may well be trusted.'}`,
    };
  }
  if (certificate !== null && certificate.daysLeft < FEW_DAYS) {
    const remedy = `The certificate ends on ${certificate.notAfter.slice(0, 10)}; the upstream has to renew it.`;
    return { ...common, outcome: 'warning', trusted: true, summary, remedy };
  }
  return { ...common, outcome: 'ok', trusted: true, summary };
}

function problemOf(code: string, { host, tls }: HeardDial): CertificateProblem | undefined {
  return certificateProblem(code, { host, certificate: tls?.certificate ?? null });
}

/** The code of the system or of OpenSSL behind an error; empty where there is none. */
export function codeOf({ cause }: HttpError): string {
  return cause instanceof Error && 'code' in cause && typeof cause.code === 'string' ? cause.code : '';
}

function proxyOf({ moments }: HeardDial): string | undefined {
  const through = moments.find(({ moment }) => moment.kind === 'through')?.moment;
  return through?.kind === 'through' ? through.outboundProxy : undefined;
}

function between(from: number, to: number | undefined, { endedAt }: HeardDial): number {
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
  if (days < 0) return 'ended';
  return days === 1 ? '1 day left' : `${days} days left`;
}
