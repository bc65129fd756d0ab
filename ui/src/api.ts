import { signal } from '@preact/signals';
import type { OPERATIONS } from '../../src/admin/index.ts';
import type { SessionAnswer } from '../../src/api/index.ts';
import { parseShown } from './parse.ts';
import { PATHS } from './paths.ts';

// The API of the server, by the definitions of the server: the types are those of src/admin.

type Operations = typeof OPERATIONS;
export type OperationKey = keyof Operations;
type HandlerOf<Key extends OperationKey> = Operations[Key]['handle'];
type InputOf<Key extends OperationKey> = Parameters<HandlerOf<Key>>[0];
/** What the server fills in where it is absent. */
type Defaulted = 'limit' | 'step' | 'platforms' | 'dryRun' | 'partial';
type Loose<Input> = Omit<Input, Defaulted> & Partial<Pick<Input, Extract<keyof Input, Defaulted>>>;
export type Asked<Key extends OperationKey> = Loose<InputOf<Key>>;
/** The answer of an operation: `Answer<'overview'>`. */
export type Answer<Key extends OperationKey> = Awaited<ReturnType<HandlerOf<Key>>>;

/** Who this browser is to the server. */
export type Session = SessionAnswer;

/** Undefined until the server has said. */
export const session = signal<Session | undefined>(undefined);

/** An answer that is no success, or no answer. */
export class ApiError extends Error {
  /** 0: the server could not be reached. */
  readonly status: number;
  readonly remedy: string | undefined;

  constructor(message: string, { status, remedy }: { readonly status: number; readonly remedy?: string | undefined }) {
    super(message);
    this.status = status;
    this.remedy = remedy;
  }
}

const BASE = '/api/v1/';

/** Milliseconds after the last key or pointer in which a request counts as its reader's. */
const ACTIVE_FOR = 60_000;
/** Milliseconds: longer than any answer of the API but a check, which has steps with deadlines of their own. */
const TIMEOUT = 120_000;

let lastAct = performance.now();
for (const kind of ['pointerdown', 'keydown', 'wheel', 'touchstart']) {
  addEventListener(kind, () => (lastAct = performance.now()), { passive: true, capture: true });
}

/** Reads by GET. @throws {ApiError} */
export async function read<Key extends OperationKey>(
  key: Key,
  input: Asked<Key>,
  signal?: AbortSignal,
): Promise<Answer<Key>> {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries<unknown>(input)) {
    if (value === undefined || value === '') continue;
    for (const each of Array.isArray(value) ? value : [value]) parameters.append(name, String(each));
  }
  const search = parameters.toString();
  return (await send(`${pathOf(key)}${search === '' ? '' : `?${search}`}`, { signal: signal ?? null })) as Answer<Key>;
}

/** Changes something, by POST; a dry run too. @throws {ApiError} */
export async function change<Key extends OperationKey>(key: Key, input: Asked<Key>): Promise<Answer<Key>> {
  return (await send(pathOf(key), { method: 'POST', body: JSON.stringify(input) })) as Answer<Key>;
}

function pathOf(key: OperationKey): string {
  return PATHS[key] ?? key;
}

/** Asks who this browser is. */
export async function readSession(): Promise<void> {
  session.value = (await send('session', {})) as Session;
}

/** Logs in by a user and a password, a token, or the code of `entrepot console`. @throws {ApiError} */
export async function login(
  credential: { readonly user: string; readonly password: string } | { readonly code: string },
): Promise<void> {
  session.value = (await send('session', { method: 'POST', body: JSON.stringify(credential) })) as Session;
}

export async function logout(): Promise<void> {
  await send('session', { method: 'DELETE' });
  await readSession();
}

async function send(path: string, init: RequestInit): Promise<unknown> {
  const headers = new Headers({ accept: 'application/json' });
  if (init.body !== undefined) headers.set('content-type', 'application/json');
  const token = session.value?.token;
  if (init.method !== undefined && token !== undefined) headers.set('x-entrepot-token', token);
  // A page that is left open does not keep its session alive.
  if (performance.now() - lastAct < ACTIVE_FOR) headers.set('x-entrepot-active', '1');
  const deadline = AbortSignal.timeout(TIMEOUT);
  const signal = init.signal ? AbortSignal.any([init.signal, deadline]) : deadline;
  let response: Response;
  let body: unknown;
  try {
    response = await fetch(BASE + path, { ...init, headers, signal, credentials: 'same-origin', cache: 'no-store' });
    body = response.status === 204 ? undefined : parseOrNothing(await response.text());
  } catch (error) {
    if (init.signal?.aborted) throw error;
    throw new ApiError('unreachable', { status: 0 });
  }
  if (response.ok) return body;
  // A session that has ended: ask who we are now, so that the login is shown, or that nothing can be changed any more.
  const isRefused = response.status === 401 || (response.status === 403 && init.method !== undefined);
  if (isRefused && path !== 'session') void readSession().catch(() => {});
  throw problemOf(response.status, body);
}

/** A server in front may answer in HTML. */
function parseOrNothing(text: string): unknown {
  try {
    return parseShown(text);
  } catch {
    return undefined;
  }
}

/** RFC 9457, or the registry's own form of an error. */
function problemOf(status: number, body: unknown): ApiError {
  const { detail, title, remedy, errors } = (body ?? {}) as {
    readonly detail?: unknown;
    readonly title?: unknown;
    readonly remedy?: unknown;
    readonly errors?: readonly { readonly message?: unknown }[];
  };
  const message = [detail, title, errors?.[0]?.message].find(
    (each): each is string => typeof each === 'string' && each !== '',
  );
  return new ApiError(message ?? `HTTP ${status}`, {
    status,
    remedy: typeof remedy === 'string' ? remedy : undefined,
  });
}
