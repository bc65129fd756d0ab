import { type HttpClient, HttpError, type HttpHead, type HttpRequest, type ResponseMeter } from '../net/index.ts';
import { type Destination, isOriginFailure, type UpstreamSpec } from '../oci/index.ts';
import type { UpstreamRequestEnded } from '../telemetry/index.ts';
import type { UpstreamContext } from './context.ts';
import { shownUrl, UpstreamError } from './error.ts';

/** @throws {UpstreamError} `unavailable` where the client cannot be opened; the next call tries again. `offline` where none may be */
export async function clientTowards(
  destination: Destination,
  { spec: { name, transport }, context }: { readonly spec: UpstreamSpec; readonly context: UpstreamContext },
): Promise<HttpClient> {
  try {
    return await context.httpClientFor(transport[destination]);
  } catch (error) {
    if (isOriginFailure(error) && error.kind === 'offline') {
      throw new UpstreamError(error.message, { kind: 'offline', upstream: name, cause: error });
    }
    const reason = error instanceof Error ? error.message : String(error);
    const message = `${name} cannot be asked, as its client cannot be made: ${reason}`;
    throw new UpstreamError(message, { kind: 'unavailable', upstream: name, cause: error });
  }
}

interface Exchange extends Pick<UpstreamRequestEnded, 'registry' | 'upstream' | 'purpose' | 'request' | 'repository'> {
  readonly context: UpstreamContext;
  readonly httpRequest: Pick<HttpRequest, 'method' | 'url'>;
}

/**
 * Carries out one HTTP exchange and publishes it, whatever its outcome.
 *
 * @param how.blockedBy what blocked the request, as its answer shows
 */
export async function published<T extends HttpHead>(
  { context, httpRequest: { method, url }, ...about }: Exchange,
  how: {
    /** Counts the body of the response by the meter. */
    readonly send: (meter: ResponseMeter) => Promise<T>;
    readonly blockedBy: (reply: T) => UpstreamRequestEnded['blocked'];
  },
): Promise<T> {
  const startedAt = performance.now();
  const body: ResponseMeter = { bytes: 0, isOver: false, waitedMs: 0 };
  const publish = (status: number, { error, blocked }: Pick<UpstreamRequestEnded, 'error' | 'blocked'>): void =>
    context.telemetry.publish('upstream.request', {
      ...about,
      method,
      url: shownUrl(url),
      status,
      durationMs: performance.now() - startedAt,
      body,
      ...(error === undefined ? {} : { error }),
      ...(blocked === undefined ? {} : { blocked }),
    });
  try {
    const reply = await how.send(body);
    publish(reply.status, { blocked: how.blockedBy(reply) });
    return reply;
  } catch (error) {
    // Without a connection, no exchange has ended it.
    body.isOver = true;
    const code = error instanceof HttpError ? error.code : 'failed';
    publish(0, { error: code, blocked: code === 'tls-reset' ? code : undefined });
    throw error;
  }
}
