import type { ByteSource } from '../lib/index.ts';
import { askOnce, type Dialled, type ExactAnswer, type Reads, type RequestBody } from '../net/index.ts';
import type { ForwardTarget, RequestContext } from '../server/index.ts';
import { endToEndHeaders, IncomingBody, replyThrough } from '../server/index.ts';
import { ForwardRefusal, refuseForward, toForwardRefusal } from './refusal.ts';
import { formatAuthority } from './target.ts';

export interface StreamOptions {
  readonly target: ForwardTarget;
  /** Speak TLS to it. */
  readonly secure: boolean;
  /** Finds a place for it. @throws {OverloadError} */
  readonly admit: () => Promise<void>;
  /** Opens a connection for this one exchange. */
  readonly reach: (reads: Reads) => Promise<Dialled>;
  /** How this server calls itself in `Via`. */
  readonly pseudonym: string;
  /** Milliseconds from the end of the request to the head of the answer. */
  readonly responseHeaderTimeout: number;
  /** Milliseconds without a byte that end a body. */
  readonly bodyIdleTimeout: number;
}

/** What a request line can hold; Node lets more through. */
const TARGET = /^[\x21-\x7e\x80-\xff]+$/;

/**
 * Asks the real host what a client asked, and passes on what it says: any method but TRACE, bodies both ways as they come,
 * headers as they were but for those of the connection.
 *
 * A connection serves one exchange and is closed: between two clients nothing is shared on which they could disagree about
 * where a message ends (CVE-2026-71324). The path stays byte for byte what it was.
 *
 * Resolves when the answer is over, whatever became of it; answers of its own are plain text.
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
    // Asked by a server for a proxy's credential, a client would send it ours.
    if (answer.status === 407) {
      answer.body.cancel();
      throw new ForwardRefusal(502, `${authority} answered 407, which only a forward proxy may`);
    }
    const via = ['Via', `${answer.httpVersion} ${options.pseudonym}`, 'X-Request-Id', context.id];
    const headers = [...answerHeaders(answer), ...via];
    // How a HEAD or a 304 would have been long is in the headers; of the body there is nothing.
    const length = context.isHead ? 0 : answer.length;
    await replyThrough(context, answer.status, headers, { source: answer.body, length });
  } catch (error) {
    if (signal.aborted || response.destroyed) return void response.destroy();
    const refusal = toForwardRefusal(error);
    if (refusal === undefined) throw error;
    refuseForward(context, refusal);
  }
}

function refuseUnfit({ request }: RequestContext): void {
  // TRACE gives back the request, credentials and all.
  if (request.method === 'TRACE') throw new ForwardRefusal(405, 'TRACE is not forwarded');
  // The parser takes off the last coding, which is chunked; without a word of those below it the body would be another.
  const { 'transfer-encoding': coding = 'chunked' } = request.headers;
  if (!/^\s*chunked\s*$/i.test(coding)) throw new ForwardRefusal(501, 'of transfer codings only chunked is understood');
  if (!TARGET.test(request.url ?? '')) throw new ForwardRefusal(400, 'the path holds characters no request can hold');
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

/** What the client sends behind its head; undefined where that is nothing. */
function bodyOf(context: RequestContext): RequestBody | undefined {
  const { request } = context;
  const { 'content-length': length, 'transfer-encoding': encoding, expect = '' } = request.headers;
  if (encoding === undefined && Number(length ?? 0) === 0) return undefined;
  const body = new IncomingBody(request, (count) => {
    context.received += count;
  });
  const source = /^100-continue$/i.test(expect) ? afterContinue(body, context) : body;
  return { length: encoding === undefined ? Number(length) : undefined, source };
}

/** Tells the client to go on when its body is first asked for: then there is somebody to take it. */
function afterContinue(body: ByteSource, { response }: RequestContext): ByteSource {
  let told = false;
  return {
    read: () => {
      if (!told) response.writeContinue();
      told = true;
      return body.read();
    },
    cancel: (reason) => body.cancel(reason),
  };
}

/** The headers of an answer as they may be passed on, with one length at the most: two that agree are one (RFC 9110 §8.6). */
function answerHeaders({ status, rawHeaders }: ExactAnswer): string[] {
  const kept: string[] = [];
  // 204 has no body (RFC 9112 §6.3), whatever length it says; a client might wait for it.
  let lengths = status === 204 ? 1 : 0;
  const given = endToEndHeaders(rawHeaders);
  for (let i = 0; i + 1 < given.length; i += 2) {
    const name = given[i] ?? '';
    const value = given[i + 1] ?? '';
    if (name.toLowerCase() !== 'content-length') kept.push(name, value);
    else if (lengths++ === 0) kept.push(name, value.split(',', 1)[0]?.trim() ?? '');
  }
  return kept;
}
