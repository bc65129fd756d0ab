import { ConcurrencyLimit } from '../lib/index.ts';
import { checkAnswer } from './answer.ts';
import { type ConnectionCheck, checkConnection } from './connection.ts';
import { type CheckTarget, type Outcome, type StepReport, tenths, type UpstreamReport } from './report.ts';
import { type CheckSession, contextOf, inSession, type SessionOptions } from './session.ts';
import { checkTokens } from './token.ts';

export interface CheckOptions extends SessionOptions {
  /** Upstreams at a time. @default 8 */
  readonly concurrency?: number;
  /** Called with each report when it is done. */
  readonly onReport?: (report: UpstreamReport) => void;
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
  const steps = await inSession(options, (session) => stepsOf(target, session));
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
}

async function stepsOf(target: CheckTarget, session: CheckSession): Promise<readonly StepReport[]> {
  const { transport, telemetry, signal, now } = session;
  const { spec, kind, path } = target;
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
  const context = contextOf(session);
  return [...connection, answer, ...(await checkTokens(target, { ...check, context }))];
}

function worstOf(steps: readonly StepReport[]): Outcome {
  const outcomes = steps.map(({ outcome }) => outcome);
  if (outcomes.includes('failed')) return 'failed';
  return outcomes.includes('warning') ? 'warning' : 'ok';
}
