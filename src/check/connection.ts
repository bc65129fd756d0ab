import type { TLSSocket } from 'node:tls';
import { createDial, type DialTarget, type HttpClientOptions, HttpError, plainHost } from '../net/index.ts';
import type { Telemetry } from '../telemetry/index.ts';
import { certificateProblem, codeOf, summarizeCertificate } from './certificate.ts';
import { connectionSteps, type DialRecord, type TimedMoment, type TlsFacts } from './connection-steps.ts';
import type { StepReport, TlsStep } from './report.ts';

/** The connection of one check. */
export interface ConnectionCheck {
  readonly url: URL;
  readonly addresses: DialTarget['addresses'];
  readonly options: HttpClientOptions;
  /** Carries the events of this check alone. */
  readonly telemetry: Telemetry;
  readonly signal: AbortSignal;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/** Connects as for a request, and closes. Where a step fails, it is the last one. */
export async function checkConnection(check: ConnectionCheck): Promise<StepReport[]> {
  const { url, options, telemetry, signal } = check;
  const moments: TimedMoment[] = [];
  const resolvers: { by: string; trouble?: string | undefined }[] = [];
  const fallbacks: TlsStep['fallbacks'][number][] = [];
  const subscriptions = [
    telemetry.on('dns.answered', ({ by, trouble }) => resolvers.push({ by, trouble })),
    telemetry.on('transport.fallback', ({ host, from, to, reason }) => {
      // Name servers are dialled too, and may have fallbacks of their own.
      if (host === plainHost(url.hostname)) fallbacks.push({ from, to, reason });
    }),
  ];
  const target: DialTarget = {
    ...targetOf(check),
    trace: (moment) => moments.push({ at: performance.now(), moment }),
  };
  const startedAt = performance.now();
  let tls: TlsFacts | undefined;
  let error: HttpError | undefined;
  let endedAt: number;
  try {
    const { socket } = await createDial(options)(target);
    endedAt = performance.now();
    if (target.protocol === 'https:') tls = factsOf(socket as TLSSocket, check);
    socket.destroy();
  } catch (thrown) {
    endedAt = performance.now();
    if (!(thrown instanceof HttpError)) throw thrown;
    error = asTimeout(thrown, check);
    if (certificateProblem(codeOf(error), { host: target.host, certificate: null }) !== undefined) {
      tls = await readUntrusted(check);
    }
  } finally {
    for (const unsubscribe of subscriptions) unsubscribe();
  }
  if (error?.code === 'aborted') signal.throwIfAborted();
  return connectionSteps({
    host: target.host,
    port: target.port,
    secure: url.protocol === 'https:',
    startedAt,
    moments,
    endedAt,
    resolvers,
    fallbacks,
    tls,
    error,
    verifies: options.tls?.insecureSkipVerify !== true,
  } satisfies DialRecord);
}

function targetOf({ url, addresses, signal }: ConnectionCheck): DialTarget {
  const { protocol, hostname: host } = url;
  const port = url.port === '' ? (protocol === 'https:' ? 443 : 80) : Number(url.port);
  return { protocol, host, port, addresses, signal };
}

/** Turns an abort by the deadline of the check into a timeout; an abort by the caller stays one. */
export function asTimeout(error: HttpError, { url, signal }: Pick<ConnectionCheck, 'url' | 'signal'>): HttpError {
  if (error.code !== 'aborted' || !isTimeout(signal.reason)) return error;
  return new HttpError('timeout', `${url.host} did not finish within the time of the check`, {
    cause: error,
  });
}

export function isTimeout(reason: unknown): boolean {
  return reason instanceof DOMException && reason.name === 'TimeoutError';
}

/**
 * Reads a certificate that was not trusted. A failed handshake does not show it, so another one is made that trusts any
 * server, sends no request and shows no client certificate.
 */
async function readUntrusted(check: ConnectionCheck): Promise<TlsFacts | undefined> {
  const { tls: { ca } = {}, telemetry: _, ...options } = check.options;
  const tls = { insecureSkipVerify: true, ...(ca === undefined ? {} : { ca }) };
  try {
    const { socket } = await createDial({ ...options, tls })(targetOf(check));
    const facts = factsOf(socket as TLSSocket, check);
    socket.destroy();
    return facts;
  } catch {
    return undefined;
  }
}

function factsOf(socket: TLSSocket, { now }: ConnectionCheck): TlsFacts {
  const certificate = socket.getPeerCertificate();
  const { authorized } = socket;
  // Its type says Error; at run time it is the code alone.
  const untrusted: unknown = authorized ? undefined : socket.authorizationError;
  return {
    version: socket.getProtocol(),
    certificate: summarizeCertificate(certificate, now()),
    untrusted: authorized
      ? undefined
      : String(untrusted instanceof Error && 'code' in untrusted ? untrusted.code : untrusted),
  };
}
