import assert from 'node:assert/strict';
import { callControl, controlSocketPath, OPERATIONS, type Operation } from '../../src/admin/index.ts';
import type { Mirror } from './mirror.ts';
import { type RawResponse, rawRequest } from './raw-request.ts';

/** An answer of the API. */
export interface ApiAnswer extends RawResponse {
  /** The body as JSON; undefined where there is none. */
  readonly value: unknown;
}

/** The members of a problem document. */
export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly errors?: readonly { readonly pointer?: string; readonly parameter?: string; readonly detail: string }[];
}

interface ApiRequest {
  readonly headers?: Readonly<Record<string, string | null>>;
  /** Sent as JSON, unless it is a text. */
  readonly body?: unknown;
  /** `127.0.0.1:PORT` of another listener. */
  readonly at?: string;
}

/** One request to the API, by a client that is no browser. */
export async function ask(
  mirror: Pick<Mirror, 'host'>,
  method: string,
  path: string,
  { headers = {}, body, at = mirror.host }: ApiRequest = {},
): Promise<ApiAnswer> {
  const text = body === undefined || typeof body === 'string' ? body : JSON.stringify(body);
  const own =
    text === undefined ? {} : { 'content-type': 'application/json', 'content-length': String(Buffer.byteLength(text)) };
  const answer = await rawRequest(at, {
    method,
    path,
    headers: { ...own, ...headers },
    ...(text !== undefined && { body: text }),
  });
  const { body: bytes } = answer;
  return { ...answer, value: bytes.length === 0 ? undefined : JSON.parse(bytes.toString()) };
}

/** Checks that an answer is a problem document of a status, and gives it. */
export function problemIn(answer: ApiAnswer, status: number): Problem {
  assert.equal(answer.status, status, answer.body.toString());
  assert.equal(answer.headers['content-type'], 'application/problem+json');
  const problem = answer.value as Problem;
  assert.equal(problem.status, status);
  for (const text of [problem.type, problem.title, problem.detail]) assert.ok(text.length > 0);
  return problem;
}

/** What a page has of a session: the headers of what it reads, and of what it changes. */
export interface PageSession {
  readonly reading: Readonly<Record<string, string>>;
  readonly changing: Readonly<Record<string, string>>;
  /** `NAME=ID` */
  readonly cookie: string;
  readonly setCookie: string;
  readonly value: Readonly<Record<string, unknown>>;
}

/** Begins a session with what `POST /api/v1/session` takes. */
export async function beginSession(
  mirror: Mirror,
  body: object,
  headers: ApiRequest['headers'] = {},
): Promise<PageSession> {
  const answer = await ask(mirror, 'POST', '/api/v1/session', { body, headers });
  assert.equal(answer.status, 200, answer.body.toString());
  const setCookie = answer.headers['set-cookie'] ?? '';
  const [cookie = ''] = setCookie.split(';');
  const value = answer.value as Readonly<Record<string, unknown>>;
  const reading = { cookie };
  return { reading, changing: { ...reading, 'x-entrepot-token': String(value['token']) }, cookie, setCookie, value };
}

/** Runs an operation by the control socket. */
export const operate = <Input, Answer, Context>(
  mirror: Pick<Mirror, 'dir'>,
  operation: Operation<Input, Answer, Context>,
  input: object = {},
): Promise<Answer> =>
  callControl(controlSocketPath(mirror.dir), operation as unknown as Operation<object, Answer, never>, { input });

/** The session of an operator, as `entrepot console` begins it. */
export async function operatorSession(mirror: Mirror): Promise<PageSession> {
  const { code } = await operate(mirror, OPERATIONS.console);
  return beginSession(mirror, { code });
}
