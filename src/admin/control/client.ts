import { once } from 'node:events';
import { lstat } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { parseBoundedJson } from '../../lib/index.ts';
import { request as httpRequest } from '../../server/index.ts';
import { methodOf, type Operation, type UploadOperation } from '../operation.ts';
import { readBounded } from './read-bounded.ts';

const MAX_ANSWER_BYTES = 16 * 1024 * 1024;

export type ControlErrorCode = 'not-running' | 'denied' | 'unknown-operation' | 'failed' | 'timeout';

/** Why a call failed; the message ends with the remedy. */
export class ControlError extends Error {
  override readonly name = 'ControlError';
  readonly code: ControlErrorCode;
  /** What the server said, without what it was asked for; undefined where it did not answer. */
  readonly reason: string | undefined;

  constructor(code: ControlErrorCode, message: string, options: ErrorOptions & { readonly reason?: string } = {}) {
    super(message, options);
    this.code = code;
    this.reason = options.reason;
  }
}

export interface CallOptions<Input> {
  /** Sent as JSON. */
  readonly input?: Input;
  /** Milliseconds for the whole call. @default 10_000 for a look, 600_000 for what changes something */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

/** Purging a large cache takes minutes; the server finishes it even where the command has given up. */
const CHANGE_TIMEOUT_MS = 600_000;
const LOOK_TIMEOUT_MS = 10_000;

/**
 * Calls an operation of the server behind a control socket. The answer may be of an older or newer server: unknown fields
 * are kept, and absent optional ones stay absent.
 *
 * @throws {ControlError}
 */
export async function callControl<Input, Answer>(
  path: string,
  operation: Operation<Input, Answer, never>,
  options: CallOptions<Input> = {},
): Promise<Answer> {
  const { timeoutMs = operation.changes ? CHANGE_TIMEOUT_MS : LOOK_TIMEOUT_MS, signal } = options;
  const deadline = AbortSignal.timeout(timeoutMs);
  const either = signal === undefined ? deadline : AbortSignal.any([deadline, signal]);
  try {
    await assertTrustworthy(path);
    const { status, body } = await exchange(path, operation, { ...options, signal: either });
    const answer = readAnswer({ status, body, operation: operation.name });
    if (isAnswer(operation, answer)) return answer;
    throw new ControlError('failed', 'The server answered in a form this version does not know; restart it.');
  } catch (error) {
    throw explainCallError(path, error, { timedOut: deadline.aborted, timeoutMs });
  }
}

/**
 * Sends a stream to an operation of the server behind a control socket.
 *
 * @throws {ControlError}; what the stream throws
 */
export async function sendControl<Answer>(
  path: string,
  upload: UploadOperation<Answer, never>,
  { body, signal }: { readonly body: Readable; readonly signal: AbortSignal },
): Promise<Answer> {
  const { name } = upload;
  try {
    await assertTrustworthy(path);
    const request = httpRequest({ socketPath: path, path: `/${name}`, method: 'POST', signal });
    const answered = once(request, 'response') as Promise<[IncomingMessage]>;
    // The server may answer before the end, and what is sent then is of no use.
    const sent = pipeline(body, request, { signal });
    // The one that fails second says nothing new.
    for (const each of [answered, sent]) each.catch(() => undefined);
    const [response] = await Promise.race([answered, sent.then(() => answered)]);
    const answer = await readBounded(response, MAX_ANSWER_BYTES);
    body.destroy();
    if (answer === undefined) throw new ControlError('failed', 'The answer of the server is too large.');
    const value = readAnswer({ status: response.statusCode ?? 0, body: answer, operation: name });
    const checked = upload.answer.safeParse(value);
    if (checked.success) return checked.data;
    throw new ControlError('failed', 'The server answered in a form this version does not know; restart it.');
  } catch (error) {
    throw explainCallError(path, error, { timedOut: false, timeoutMs: 0 });
  }
}

/** The schemas of answers transform nothing, so that what they accept may be used as it came. */
function isAnswer<Answer>({ answer }: Operation<unknown, Answer, never>, value: unknown): value is Answer {
  return answer.safeParse(value).success;
}

/** In a directory that others may write to, another user's socket could pose as our server. */
async function assertTrustworthy(path: string): Promise<void> {
  const { uid } = await lstat(path);
  const self = process.getuid?.();
  if (self === undefined || self === 0 || uid === 0 || uid === self) return;
  throw new ControlError('denied', `${path} belongs to another user; run the command as the user of the server.`);
}

async function exchange<Input>(
  path: string,
  operation: Pick<Operation<Input, unknown, never>, 'name' | 'changes'>,
  { input, signal }: CallOptions<Input> & { readonly signal: AbortSignal },
): Promise<{ status: number; body: Buffer }> {
  const payload = input === undefined ? undefined : JSON.stringify(input);
  const headers = payload === undefined ? {} : { 'content-length': Buffer.byteLength(payload) };
  const target = { socketPath: path, path: `/${operation.name}`, method: methodOf(operation) };
  const request = httpRequest({ ...target, signal, headers });
  // once() hears the first error only; a second one must not be fatal.
  request.on('error', () => {});
  request.end(payload);
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  const body = await readBounded(response, MAX_ANSWER_BYTES);
  if (body === undefined) throw new ControlError('failed', 'The answer of the server is too large.');
  return { status: response.statusCode ?? 0, body };
}

function readAnswer({ status, body, operation }: { status: number; body: Buffer; operation: string }): unknown {
  let value: unknown;
  try {
    value = parseBoundedJson(body);
  } catch (cause) {
    throw new ControlError('failed', 'The answer is not JSON; does another program listen there?', { cause });
  }
  if (status === 200) return value;
  // `users/add` is a path; the operator typed `users add`.
  const command = operation.replaceAll('/', ' ');
  // Older servers answer 405 to a method they do not have.
  if (status === 404 || status === 405)
    throw new ControlError(
      'unknown-operation',
      `The running server has no operation \`${command}\`: it is of another version than this command. Restart it.`,
    );
  const reason = typeof value === 'object' && value !== null && 'error' in value ? String(value.error) : `${status}`;
  throw new ControlError('failed', `The server could not do \`${command}\`: ${reason}`, { reason });
}

function explainCallError(
  path: string,
  error: unknown,
  { timedOut, timeoutMs }: { timedOut: boolean; timeoutMs: number },
): unknown {
  if (error instanceof ControlError) return error;
  const explained = (code: ControlErrorCode, message: string) => new ControlError(code, message, { cause: error });
  if (timedOut) {
    const remedy = 'It is busy or stuck: repeat the command, and read its log if that fails too.';
    return explained('timeout', `The server did not answer within ${timeoutMs / 1000} s. ${remedy}`);
  }
  switch ((error as NodeJS.ErrnoException).code) {
    case 'ENOENT':
    case 'ENOTDIR':
    case 'ECONNREFUSED':
      return explained('not-running', `No server listens on ${path}.`);
    case 'ECONNRESET':
    case 'EPIPE':
      return explained(
        'failed',
        'The server ended before it answered; the operation may be done wholly, in part or not at all.',
      );
    case 'EACCES':
    case 'EPERM':
      return explained('denied', `This user may not open ${path}; run the command as the user of the server.`);
    default:
      return error;
  }
}
