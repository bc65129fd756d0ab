import { once } from 'node:events';
import { lstat } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { request as httpRequest } from '../server/index.ts';
import { readBounded } from './read-bounded.ts';

const MAX_ANSWER_BYTES = 16 * 1024 * 1024;

export type ControlErrorCode = 'not-running' | 'denied' | 'unknown-operation' | 'failed' | 'timeout';

/** Why a call brought no answer; the message says what would do. */
export class ControlError extends Error {
  override readonly name = 'ControlError';
  readonly code: ControlErrorCode;

  constructor(code: ControlErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

export interface CallOptions {
  /** @default 'GET' */
  readonly method?: 'GET' | 'POST';
  /** Sent as JSON. */
  readonly input?: unknown;
  /** Milliseconds for the whole call. @default 10_000 */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

/** Asks the server behind a control socket; resolves with the JSON it answers. Throws {@link ControlError}. */
export async function callControl(path: string, operation: string, options: CallOptions = {}): Promise<unknown> {
  const { timeoutMs = 10_000, signal } = options;
  const deadline = AbortSignal.timeout(timeoutMs);
  const either = signal === undefined ? deadline : AbortSignal.any([deadline, signal]);
  try {
    await assertTrustworthy(path);
    const { status, body } = await exchange(path, operation, { ...options, signal: either });
    return readAnswer({ status, body, operation });
  } catch (error) {
    throw explainCallError(path, error, { timedOut: deadline.aborted, timeoutMs });
  }
}

/** In a directory anybody may write to, a socket of somebody else's could pose as our server. */
async function assertTrustworthy(path: string): Promise<void> {
  const { uid } = await lstat(path);
  const self = process.getuid?.();
  if (self === undefined || self === 0 || uid === 0 || uid === self) return;
  throw new ControlError(
    'denied',
    `The socket ${path} belongs to another user; run this as the user the server runs as.`,
  );
}

async function exchange(
  path: string,
  operation: string,
  { method = 'GET', input, signal }: CallOptions & { readonly signal: AbortSignal },
): Promise<{ status: number; body: Buffer }> {
  const payload = input === undefined ? undefined : JSON.stringify(input);
  const headers = payload === undefined ? {} : { 'content-length': Buffer.byteLength(payload) };
  const request = httpRequest({ socketPath: path, path: `/${operation}`, method, signal, headers });
  // once() hears the first error only; what follows it must not be fatal.
  request.on('error', () => {});
  request.end(payload);
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  const body = await readBounded(response, MAX_ANSWER_BYTES);
  if (body === undefined) throw new ControlError('failed', 'The server answered with more than can be right.');
  return { status: response.statusCode ?? 0, body };
}

function readAnswer({ status, body, operation }: { status: number; body: Buffer; operation: string }): unknown {
  let value: unknown;
  try {
    value = JSON.parse(body.toString('utf8'));
  } catch (cause) {
    throw new ControlError('failed', 'The server answered with what is no JSON; is it another program?', { cause });
  }
  if (status === 200) return value;
  if (status === 404 || status === 405)
    throw new ControlError(
      'unknown-operation',
      `The running server does not know \`${operation}\`; it is of another version than this command. Restart it.`,
    );
  const reason = typeof value === 'object' && value !== null && 'error' in value ? String(value.error) : `${status}`;
  throw new ControlError('failed', `The server could not do \`${operation}\`: ${reason}`);
}

function explainCallError(
  path: string,
  error: unknown,
  { timedOut, timeoutMs }: { timedOut: boolean; timeoutMs: number },
): unknown {
  if (error instanceof ControlError) return error;
  const { code } = error as NodeJS.ErrnoException;
  if (timedOut)
    return new ControlError('timeout', `The server did not answer within ${timeoutMs / 1000} s.`, { cause: error });
  switch (code) {
    case 'ENOENT':
    case 'ENOTDIR':
    case 'ECONNREFUSED':
      return new ControlError('not-running', `No server listens on ${path}.`, { cause: error });
    case 'ECONNRESET':
    case 'EPIPE':
      return new ControlError(
        'failed',
        'The server ended before it had answered; what was asked for may be done, in part or not at all.',
        { cause: error },
      );
    case 'EACCES':
    case 'EPERM':
      return new ControlError(
        'denied',
        `The socket ${path} is not open to this user; run this as the user the server runs as.`,
        { cause: error },
      );
    default:
      return error;
  }
}
