import type { ServerStatus } from '../admin/index.ts';
import { checkUpstreams, type StepReport } from '../check/index.ts';
import { createHttpClient, type HttpClientOptions } from '../net/index.ts';
import { completeUpstream, type TransportSpec } from '../oci/index.ts';
import { formatBytes, type Telemetry } from '../telemetry/index.ts';
import { type Finding, failed, ok, warning } from './finding.ts';

/** What the running server says of itself. @param version of this command */
export function statusFindings(status: ServerStatus, version: string): readonly Finding[] {
  const { pid, startedAt, configSource, warnings = [], cache, upstreams = [] } = status;
  const since = new Date(startedAt).toISOString().replace(/\.\d+Z$/, 'Z');
  const about = { id: 'server.version', what: 'server', found: `the server is ${status.version}` } as const;
  return [
    ok({
      id: 'server.running',
      what: 'server',
      found: `process ${pid}, since ${since}, configured by ${configSource}`,
    }),
    status.version === version
      ? ok(about)
      : warning(
          { ...about, found: `the server is ${status.version}, this command ${version}` },
          'Restart the server, so that it runs the version that is installed.',
        ),
    ...warnings.map((found) =>
      warning({ id: 'server.config', what: 'configuration', found }, 'Correct the option, then run `entrepot reload`.'),
    ),
    ...(cache === 'off' ? [] : [cachingFinding(cache)]),
    ...upstreams.flatMap(healthFinding),
  ];
}

function cachingFinding({ blobs, bytes, maxSize, paused }: Exclude<ServerStatus['cache'], 'off'>): Finding {
  const about = { id: 'disk.caching', what: 'cache' } as const;
  if (paused === undefined) {
    const limit = maxSize === undefined ? 'max_size is not set' : `max_size is ${formatBytes(maxSize)}`;
    return ok({ ...about, found: `${blobs} blobs of ${formatBytes(bytes)}; ${limit}` });
  }
  const since = new Date(paused.since).toISOString();
  return failed(
    { ...about, found: `pulls are served and not kept since ${since}: ${paused.reason}` },
    'Make room on the disk of the cache, or repair it; the server goes on caching by itself.',
  );
}

function healthFinding({ registry, upstream, state, scope, reason }: NonNullable<ServerStatus['upstreams']>[number]) {
  if (state === 'closed') return [];
  const why = reason === undefined ? '' : `: ${reason}`;
  return [
    warning(
      {
        id: 'upstream.health',
        what: upstream === registry ? registry : `${registry} (${upstream})`,
        found: `the server leaves it alone for a while (requests: ${scope})${why}`,
      },
      'Remove the cause that the message and the findings on this upstream name; the server tries it again by itself.',
    ),
  ];
}

interface AddressOptions {
  /** Milliseconds. */
  readonly timeout: number;
  readonly signal?: AbortSignal | undefined;
}

/** Whether a server answers at its own address, step by step, and whether it is ready. @param url `http://127.0.0.1:5000` */
export async function addressFindings(url: string, { timeout, signal }: AddressOptions): Promise<readonly Finding[]> {
  const configured = {
    name: url,
    url,
    credentials: undefined,
    headers: {},
    capabilities: ['pull'],
    tokenRealms: [],
    redirectHosts: undefined,
  } as const;
  const spec = completeUpstream(configured, TRANSPORT);
  const [report] = await checkUpstreams([{ kind: 'mirror', name: url, spec, path: '/readyz' }], {
    openTransport,
    timeout,
    signal,
  });
  return (report?.steps ?? []).flatMap((step) => addressFinding(url, step));
}

/** Straight to the server, as clients go, and whatever its certificate: that is judged by itself. */
const OPTIONS: HttpClientOptions = { tls: { insecureSkipVerify: true } };

function openTransport(telemetry: Telemetry): ReturnType<Parameters<typeof checkUpstreams>[1]['openTransport']> {
  const client = createHttpClient({ ...OPTIONS, telemetry });
  return {
    optionsFor: () => Promise.resolve({ ...OPTIONS, telemetry }),
    clientFor: () => Promise.resolve(client),
    close: () => client.close(),
  };
}

/** Describes the same for reports; the client is opened by {@link OPTIONS}. */
const TRANSPORT: TransportSpec = {
  dialTimeout: 10_000,
  tlsHandshakeTimeout: 10_000,
  responseHeaderTimeout: 10_000,
  bodyIdleTimeout: 10_000,
  idleConnTimeout: 10_000,
  maxIdleConnsPerHost: 1,
  maxIdleConns: 1,
  maxConnsPerHost: 1,
  keepalive: 0,
  firstFragmentLen: 0,
  allowPlainFallback: true,
  outboundProxy: 'none',
  tls: { caFiles: [], insecureSkipVerify: true },
  dns: undefined,
  allowPrivate: [],
};

function addressFinding(url: string, step: StepReport): readonly Finding[] {
  const about = { id: 'server.address', what: url, found: step.summary } as const;
  switch (step.step) {
    case 'dns':
      return step.outcome === 'failed'
        ? [failed(about, 'Correct the host, or add it to the DNS of this machine.')]
        : [];
    case 'tcp':
      return step.outcome === 'failed' ? [failed(about, NOT_LISTENING)] : [];
    case 'tls':
      return step.outcome === 'failed' ? [failed(about, NO_TLS)] : certificateFinding(url, step);
    case 'http':
      return httpFindings(url, step);
    default:
      return [];
  }
}

const NOT_LISTENING =
  'Start the server there (`entrepot serve`), correct host and port, or open the port in the firewall between.';
const NO_TLS =
  'If the server speaks plain HTTP at this port, its address begins with http://; else see the tls option of `listen`.';
const FEW_DAYS = 14;

function certificateFinding(url: string, step: Extract<StepReport, { step: 'tls' }>): readonly Finding[] {
  const { certificate, version, trusted } = step;
  if (certificate === null) return [];
  const { subject, issuer, notAfter, daysLeft } = certificate;
  const found = `${version ?? 'TLS'}, ${subject}, signed by ${issuer}, until ${notAfter.slice(0, 10)}`;
  const about = { id: 'server.certificate', what: url, found } as const;
  if (daysLeft < 0)
    return [failed(about, 'Renew the certificate, and run `entrepot reload`: clients refuse an expired one.')];
  if (daysLeft < FEW_DAYS) return [warning(about, `Renew the certificate: it holds for ${daysLeft} more days.`)];
  if (trusted) return [ok(about)];
  const distrusted = { ...about, found: `${found}; this machine does not trust it for this name` };
  return [
    warning(
      distrusted,
      'If its authority is your own, let each client trust it (docs/clients.md); if the name is another one, use that name.',
    ),
  ];
}

function httpFindings(url: string, { status, summary }: Extract<StepReport, { step: 'http' }>): readonly Finding[] {
  const address = { id: 'server.address', what: url, found: summary } as const;
  const ready = { id: 'server.ready', what: url } as const;
  if (status === 200) return [ok(address), ok({ ...ready, found: 'it takes pulls' })];
  if (status === 503) {
    return [
      ok(address),
      failed(
        { ...ready, found: 'it answers and takes no pulls: it starts, stops or has too many requests' },
        'Wait for the start to end; if it stays, see `entrepot status`, the log and docs/limits.md.',
      ),
    ];
  }
  const remedy =
    status === 0
      ? NO_TLS
      : 'Something else than entrepot answers there: correct the address, or the proxy in front of the server.';
  return [failed(address, remedy)];
}
