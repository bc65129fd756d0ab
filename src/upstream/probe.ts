import { drain } from '../lib/index.ts';
import type { UpstreamSpec } from '../oci/index.ts';
import type { UpstreamContext } from './context.ts';
import { Upstream } from './upstream.ts';
import type { UpstreamRequest } from './upstream-request.ts';

export interface ProbedUpstream {
  readonly registry: string;
  readonly spec: UpstreamSpec;
  readonly context: UpstreamContext;
}

export type ProbeQuestion = Pick<
  UpstreamRequest,
  'method' | 'path' | 'scope' | 'kind' | 'headers' | 'loginOnly' | 'signal'
> & {
  /** Reads the whole body, up to so many bytes; a longer one is an error. @default the first 64 KiB of it */
  readonly maxBytes?: number;
};

export interface ProbeAnswer {
  readonly status: number;
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string>>;
  /** The URL that answered, after redirects. */
  readonly url: URL;
  readonly body: Buffer;
}

/**
 * Sends one request to one upstream, with its credential, token and redirects as usual, but without fail-over and without
 * memory: neither its health nor a cached token plays a part. Every exchange is published to the context's telemetry.
 *
 * @throws {UpstreamError} where no answer came; any status is an answer
 */
export async function probeUpstream(
  { registry, spec, context }: ProbedUpstream,
  request: ProbeQuestion,
): Promise<ProbeAnswer> {
  const { maxBytes, ...question } = request;
  const upstream = new Upstream(registry, spec, context);
  if (maxBytes !== undefined) {
    const { reply, url } = await upstream.fetch(question, maxBytes);
    return { status: reply.status, headers: reply.headers, url, body: reply.body };
  }
  const { reply, url } = await upstream.open(question);
  return { status: reply.status, headers: reply.headers, url, body: await drain(reply.body) };
}
