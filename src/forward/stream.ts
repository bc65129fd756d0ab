import { askOnce, type Dialled, type ExactAnswer, type Reads } from '../net/index.ts';
import {
  bodyOf,
  endToEndHeaders,
  type ForwardTarget,
  type RequestContext,
  replyThrough,
  TextRefusal,
} from '../server/index.ts';
import { refuseForward, toTextRefusal } from './refusal.ts';
import { formatAuthority } from './target.ts';

interface StreamOptions {
  readonly target: ForwardTarget;
  /** Whether the target speaks TLS. */
  readonly secure: boolean;
  /** Waits for a slot. @throws {OverloadError} */
  readonly admit: () => Promise<void>;
  /** Opens a connection for this exchange. */
  readonly reach: (reads: Reads) => Promise<Dialled>;
  /** The name of this server in `Via`. */
  readonly pseudonym: string;
  /** Milliseconds from the end of the request to the head of the answer. */
  readonly responseHeaderTimeout: number;
  /** Milliseconds without a byte after which a body ends. */
  readonly bodyIdleTimeout: number;
}

/** The characters of a target in a request line; Node lets more through. */
const TARGET = /^[\x21-\x7e\x80-\xff]+$/;

/**
 * Sends a client's request to its real host and passes on the answer: any method but TRACE, bodies streamed both ways, headers
 * unchanged but for those of the connection.
 *
 * Each connection serves one exchange and is closed. So two clients never share a connection on which they could disagree
 * about the end of a message (CVE-2026-71324). The path stays the same byte for byte.
 *
 * Resolves when the answer has ended, in success or failure. Its own answers are plain text.
 */
export async function streamToHost(context: RequestContext, options: StreamOptions): Promise<void> {
  const { response, signal } = context;
  const authority = formatAuthority(options.target);
  context.upstream = authority;
  try {
    refuseUnfit(context);
    await options.admit();
    signal.throwIfAborted();
    const answer = await ask(context, options);
    // A client would answer 407 with the credential it has for this proxy.
    if (answer.status === 407) {
      answer.body.cancel();
      throw new TextRefusal(502, `${authority} answered 407, which only a forward proxy may`);
    }
    const via = ['Via', `${answer.httpVersion} ${options.pseudonym}`, 'X-Request-Id', context.id];
    const headers = [...answerHeaders(answer), ...via];
    // The headers of a HEAD give the length of a GET; here no body follows.
    const length = context.isHead ? 0 : answer.length;
    await replyThrough(context, answer.status, headers, { source: answer.body, length });
  } catch (error) {
    if (signal.aborted || response.destroyed) return void response.destroy();
    const refusal = toTextRefusal(error);
    if (refusal === undefined) throw error;
    refuseForward(context, refusal);
  }
}

function refuseUnfit({ request }: RequestContext): void {
  // TRACE would return the request, credentials included.
  if (request.method === 'TRACE') throw new TextRefusal(405, 'TRACE is not forwarded');
  // The parser removes the last coding, chunked; without the others named, the body would mean something else.
  const { 'transfer-encoding': coding = 'chunked' } = request.headers;
  if (!/^[\t ]*chunked[\t ]*$/i.test(coding))
    throw new TextRefusal(501, 'the only transfer coding understood is chunked');
  if (!TARGET.test(request.url ?? '')) throw new TextRefusal(400, 'the path has characters that no request can have');
}

function ask(context: RequestContext, options: StreamOptions): Promise<ExactAnswer> {
  const { request, signal } = context;
  const { target, secure, pseudonym, responseHeaderTimeout, bodyIdleTimeout } = options;
  const host = formatAuthority(target, secure ? 443 : 80);
  const own = ['Host', host, 'Via', `${request.httpVersion} ${pseudonym}`, 'Connection', 'close'];
  return askOnce(
    {
      method: context.method,
      target: request.url ?? '/',
      rawHeaders: [...endToEndHeaders(request.rawHeaders, ['host', 'expect']), ...own],
      body: bodyOf(context),
      signal,
    },
    { authority: formatAuthority(target), responseHeaderTimeout, bodyIdleTimeout, open: options.reach },
  );
}

/** The headers of an answer to pass on. */
function answerHeaders({ status, rawHeaders }: ExactAnswer): string[] {
  // 204 has no body (RFC 9112 §6.3), whatever its length header; a client might wait for one.
  return endToEndHeaders(rawHeaders, status === 204 ? ['content-length'] : []);
}
