import type { TLSSocket } from 'node:tls';
import {
  createDial,
  type DialMoment,
  type DialTarget,
  type HttpClientOptions,
  HttpError,
  plainHost,
} from '../net/index.ts';
import type { Telemetry } from '../telemetry/index.ts';
import { certificateProblem, summarizeCertificate } from './certificate.ts';
import { codeOf, connectionSteps, type HeardDial, type TlsFacts } from './connection-steps.ts';
import type { StepReport, TlsStep } from './report.ts';

export interface ConnectionAsked {
  readonly url: URL;
  readonly addresses: DialTarget['addresses'];
  readonly options: HttpClientOptions;
  /** Hears of this one upstream alone. */
  readonly telemetry: Telemetry;
  readonly signal: AbortSignal;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/** Connects as for a request, and closes; the last step is the one that failed, where one did. */
export async function checkConnection(asked: ConnectionAsked): Promise<StepReport[]> {
  const { url, options, telemetry, signal } = asked;
  const moments: { at: number; moment: DialMoment }[] = [];
  const answered: { by: string; trouble?: string | undefined }[] = [];
  const fallbacks: TlsStep['fallbacks'][number][] = [];
  const ears = [
    telemetry.on('dns.answered', ({ by, trouble }) => answered.push({ by, trouble })),
    telemetry.on('transport.fallback', ({ host, from, to, reason }) => {
      // Name servers are dialled as well, and cut too.
      if (host === plainHost(url.hostname)) fallbacks.push({ from, to, reason });
    }),
  ];
  const target: DialTarget = {
    ...targetOf(asked),
    trace: (moment) => moments.push({ at: performance.now(), moment }),
  };
  const startedAt = performance.now();
  let tls: TlsFacts | undefined;
  let error: HttpError | undefined;
  let endedAt: number;
  try {
    const { socket } = await createDial(options)(target);
    endedAt = performance.now();
    if (target.protocol === 'https:') tls = factsOf(socket as TLSSocket, asked);
    socket.destroy();
  } catch (thrown) {
    endedAt = performance.now();
    if (!(thrown instanceof HttpError)) throw thrown;
    error = timely(thrown, asked);
    if (certificateProblem(codeOf(error), { host: target.host, certificate: null }) !== undefined) {
      tls = await lookAgain(asked);
    }
  } finally {
    for (const unsubscribe of ears) unsubscribe();
  }
  if (error?.code === 'aborted') signal.throwIfAborted();
  const heard: HeardDial = {
    host: target.host,
    port: target.port,
    secure: url.protocol === 'https:',
    startedAt,
    moments,
    endedAt,
    answered,
    fallbacks,
    tls,
    error,
    verifies: options.tls?.insecureSkipVerify !== true,
  };
  return connectionSteps(heard);
}

function targetOf({ url, addresses, signal }: ConnectionAsked): DialTarget {
  const { protocol, hostname: host } = url;
  const port = url.port === '' ? (protocol === 'https:' ? 443 : 80) : Number(url.port);
  return { protocol, host, port, addresses, signal };
}

/** The end of the time for a whole check is a time-out; a caller who has had enough is not. */
export function timely(error: HttpError, { url, signal }: Pick<ConnectionAsked, 'url' | 'signal'>): HttpError {
  if (error.code !== 'aborted' || !isTimeout(signal.reason)) return error;
  return new HttpError('timeout', `${url.host} was not through with it when the time of the check was over`, {
    cause: error,
  });
}

export function isTimeout(reason: unknown): boolean {
  return reason instanceof DOMException && reason.name === 'TimeoutError';
}

/**
 * The certificate that was not trusted: it is not to be had from a handshake that failed, so another is made that trusts
 * anybody, says nothing and shows no certificate of ours.
 */
async function lookAgain(asked: ConnectionAsked): Promise<TlsFacts | undefined> {
  const { tls: { ca } = {}, telemetry: _, ...options } = asked.options;
  const tls = { insecureSkipVerify: true, ...(ca === undefined ? {} : { ca }) };
  try {
    const { socket } = await createDial({ ...options, tls })(targetOf(asked));
    const facts = factsOf(socket as TLSSocket, asked);
    socket.destroy();
    return facts;
  } catch {
    return undefined;
  }
}

function factsOf(socket: TLSSocket, { now }: ConnectionAsked): TlsFacts {
  const certificate = socket.getPeerCertificate();
  const { authorized } = socket;
  // An error, though its type says otherwise: it is the code alone.
  const untrusted: unknown = authorized ? undefined : socket.authorizationError;
  return {
    version: socket.getProtocol(),
    certificate: summarizeCertificate(certificate, now()),
    untrusted: authorized
      ? undefined
      : String(untrusted instanceof Error && 'code' in untrusted ? untrusted.code : untrusted),
  };
}
