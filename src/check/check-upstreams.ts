import { ConcurrencyLimit } from '../lib/index.ts';
import type { HttpClient, HttpClientOptions } from '../net/index.ts';
import type { TransportSpec } from '../oci/index.ts';
import { Telemetry } from '../telemetry/index.ts';
import { checkAnswer } from './answer.ts';
import { type ConnectionCheck, checkConnection } from './connection.ts';
import { type CheckTarget, type Outcome, type StepReport, tenths, type UpstreamReport } from './report.ts';
import { checkTokens } from './token.ts';

export interface CheckOptions {
  /** Opens the transport of pulls for one upstream. The events of its names and handshakes go to `telemetry`. */
  readonly openTransport: (telemetry: Telemetry) => CheckTransport;
  /** Milliseconds for all requests to one upstream. */
  readonly timeout: number;
  /** Upstreams at a time. @default 8 */
  readonly concurrency?: number;
  readonly signal?: AbortSignal | undefined;
  /** Called with each report when it is done. */
  readonly onReport?: (report: UpstreamReport) => void;
  /** Milliseconds since 1970. @default Date.now */
  readonly now?: () => number;
}

interface CheckTransport {
  /** The options of a transport's client. */
  readonly optionsFor: (transport: TransportSpec) => Promise<HttpClientOptions>;
  readonly clientFor: (transport: TransportSpec) => Promise<HttpClient>;
  /** Closes every connection. */
  readonly close: () => Promise<void>;
}

const AT_A_TIME = 8;

/**
 * Checks every target, several at a time.
 *
 * @returns a report for each, in the order given; a fault of an upstream is in its report, never thrown
 * @throws what `openTransport` throws, and the signal's reason
 */
export async function checkUpstreams(
  targets: readonly CheckTarget[],
  options: CheckOptions,
): Promise<readonly UpstreamReport[]> {
  const { concurrency = AT_A_TIME, signal, onReport } = options;
  const limit = new ConcurrencyLimit(concurrency);
  const checks = targets.map((target) =>
    limit.run(async () => {
      signal?.throwIfAborted();
      const report = await checkUpstream(target, options);
      onReport?.(report);
      return report;
    }),
  );
  // Where one throws, the others are awaited first: no check is left running.
  await Promise.allSettled(checks);
  return await Promise.all(checks);
}

async function checkUpstream(target: CheckTarget, options: CheckOptions): Promise<UpstreamReport> {
  const startedAt = performance.now();
  const telemetry = new Telemetry();
  const transport = options.openTransport(telemetry);
  const deadline = new AbortController();
  const expire = (): void => deadline.abort(new DOMException('The time of the check is over', 'TimeoutError'));
  const timer = setTimeout(expire, options.timeout);
  const signal = options.signal === undefined ? deadline.signal : AbortSignal.any([options.signal, deadline.signal]);
  try {
    const steps = await stepsOf(target, { options, transport, telemetry, signal });
    const { kind, name, spec } = target;
    const http = steps.find(({ step }) => step === 'http');
    return {
      kind,
      name,
      upstream: spec.name,
      url: spec.url,
      reachable: http !== undefined && http.outcome !== 'failed',
      outcome: worstOf(steps),
      durationMs: tenths(performance.now() - startedAt),
      steps,
    };
  } finally {
    clearTimeout(timer);
    await transport.close();
  }
}

async function stepsOf(
  target: CheckTarget,
  setup: {
    readonly options: CheckOptions;
    readonly transport: CheckTransport;
    readonly telemetry: Telemetry;
    readonly signal: AbortSignal;
  },
): Promise<readonly StepReport[]> {
  const { options, transport, telemetry, signal } = setup;
  const { spec, kind, path } = target;
  const { now = Date.now } = options;
  const own = spec.transport.upstream;
  const check: ConnectionCheck = {
    url: new URL(spec.url + path),
    addresses: spec.addresses === 'public' ? { kind: 'public', allow: own.allowPrivate } : { kind: 'any' },
    options: await transport.optionsFor(own),
    telemetry,
    signal,
    now,
  };
  const connection = await checkConnection(check);
  if (connection.some(({ outcome }) => outcome === 'failed')) return connection;
  const answer = await checkAnswer(target, check);
  // Without a credential of its own, a mirror route passes a 401 on: the login is up to its clients.
  const needsLogin = answer.status === 401 && (kind === 'registry' || spec.credentials !== undefined);
  if (!needsLogin) return [...connection, answer];
  const context = { httpClientFor: (each: TransportSpec) => transport.clientFor(each), telemetry, now };
  return [...connection, answer, ...(await checkTokens(target, { ...check, context }))];
}

function worstOf(steps: readonly StepReport[]): Outcome {
  const outcomes = steps.map(({ outcome }) => outcome);
  if (outcomes.includes('failed')) return 'failed';
  return outcomes.includes('warning') ? 'warning' : 'ok';
}
