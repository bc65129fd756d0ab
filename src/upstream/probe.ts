import type { UpstreamSpec } from '../oci/index.ts';
import type { UpstreamContext } from './context.ts';
import { drain } from './drain.ts';
import { Upstream } from './upstream.ts';
import type { UpstreamRequest } from './upstream-request.ts';

/** One upstream to be asked by itself. */
export interface ProbedUpstream {
  readonly registry: string;
  readonly spec: UpstreamSpec;
  readonly context: UpstreamContext;
}

/** What is asked of it, in the words of a question. */
export type ProbeQuestion = Pick<
  UpstreamRequest,
  'method' | 'path' | 'scope' | 'kind' | 'headers' | 'loginOnly' | 'signal'
>;

export interface ProbeAnswer {
  readonly status: number;
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string>>;
  /** Who answered in the end. */
  readonly url: URL;
}

/**
 * Asks one upstream as any question would be asked of it, with its credential, token and redirects, but past fail-over and
 * with nothing known of it: neither that it is to be left alone, nor a token.
 *
 * What happens on the way is published to the context's telemetry.
 *
 * @throws {UpstreamError} where no answer came; a status is an answer, whatever it is
 */
export async function probeUpstream(
  { registry, spec, context }: ProbedUpstream,
  request: ProbeQuestion,
): Promise<ProbeAnswer> {
  const { reply, url } = await new Upstream(registry, spec, context).open(request);
  await drain(reply.body);
  return { status: reply.status, headers: reply.headers, url };
}
