import { setTimeout as delay } from 'node:timers/promises';
import type { Telemetry } from '../../telemetry/index.ts';
import { UpstreamError } from '../error.ts';
import { retryDelay } from './retry.ts';

export interface FailoverContext {
  readonly registry: string;
  readonly telemetry: Telemetry;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Tries one upstream after the other, in order, until one answers.
 *
 * Every {@link UpstreamError} leads to the next, "not found" included: the first upstream is often a copy that lacks some
 * of the second's content. Any other error (an abort, a bug) is thrown.
 *
 * @throws {UpstreamError} as {@link finalFailure} chooses
 */
export async function failOver<U extends { readonly name: string }, T>(
  upstreams: readonly U[],
  ask: (upstream: U) => Promise<T>,
  context: FailoverContext,
): Promise<T> {
  const failures: UpstreamError[] = [];
  for (const [index, upstream] of upstreams.entries()) {
    const next = upstreams[index + 1];
    const outcome = await attempt(() => ask(upstream), next === undefined, context.signal);
    if (!(outcome instanceof UpstreamError)) return outcome;
    failures.push(outcome);
    if (next !== undefined) {
      context.telemetry.publish('upstream.failover', {
        registry: context.registry,
        from: upstream.name,
        to: next.name,
        reason: outcome.message,
      });
    }
  }
  throw finalFailure(failures, context.registry);
}

async function attempt<T>(
  ask: () => Promise<T>,
  last: boolean,
  signal: AbortSignal | undefined,
): Promise<T | UpstreamError> {
  for (let attempts = 1; ; attempts += 1) {
    signal?.throwIfAborted();
    try {
      return await ask();
    } catch (error) {
      signal?.throwIfAborted();
      if (!(error instanceof UpstreamError)) throw error;
      const wait = retryDelay(error, { attempts, last, random: Math.random() });
      if (wait === undefined) return error;
      // The head of the loop notices an abort.
      await delay(wait, undefined, signal === undefined ? {} : { signal }).catch(() => undefined);
    }
  }
}

/**
 * The one failure that stands for all of them.
 *
 * A temporary failure wins: while one upstream cannot be reached, the content may still exist, and a client that gets 404
 * would give up for good. Then `invalid`, then `not-found`; `denied` only where no other says more, and `loop` only where
 * every upstream leads back here: a mirror in a circle has nothing of its own to say.
 */
export function finalFailure(failures: readonly UpstreamError[], registry: string): UpstreamError {
  const temporary = failures.filter((each) => each.temporary);
  const found =
    soonest(temporary) ??
    failures.find((each) => each.kind === 'invalid') ??
    failures.find((each) => each.kind === 'not-found') ??
    failures.find((each) => each.kind === 'denied') ??
    failures[0];
  return (
    found ??
    new UpstreamError(`no upstream of ${registry} may be asked this`, { kind: 'not-found', upstream: registry })
  );
}

/** The one that may be retried first; without a `Retry-After`, that is at once. */
function soonest(failures: readonly UpstreamError[]): UpstreamError | undefined {
  return failures.reduce<UpstreamError | undefined>(
    (best, each) => (best === undefined || (each.retryAfter ?? 0) < (best.retryAfter ?? 0) ? each : best),
    undefined,
  );
}
