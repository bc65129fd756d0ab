import * as z from 'zod';
import { CredentialError, nameOf, OPERATOR_PRINCIPAL, type Principal, TooManyGuessesError } from '../access/index.ts';
import { readJson } from './body.ts';
import { ApiProblem } from './problem.ts';
import { checkInput, readQuery } from './query.ts';
import { answerJson, requireMethod } from './reply.ts';
import type { ApiRequest, GatedRequest } from './request.ts';
import { type Codes, isTokenOf, readSessionId, type Session, type Sessions, writeSessionId } from './sessions/index.ts';

const text = (most: number) => z.string({ error: 'expected a text' }).max(most, `expected at most ${most} characters`);

/** Begins a session. */
export const sessionInput = z.union([
  z.strictObject({ code: text(100).describe('As `entrepot console` gives it; it holds once, and for a minute.') }),
  z.strictObject({
    user: text(255),
    password: text(1024).describe('The password of the user, or a token of this server.'),
  }),
]);

export const sessionAnswer = z.object({
  principal: z.string().describe('As rules write it: `alice`, `token:ci`, `anonymous`; `operator` after a code.'),
  mode: z
    .enum(['open', 'rules', 'closed'])
    .describe(
      '`rules`: access rules decide. `open`: there are none, and the client may read. `closed`: there are none, and the client may not; `remedy` says what opens the API.',
    ),
  remedy: z.string().exactOptional(),
  canRead: z.boolean(),
  canChange: z.boolean(),
  canLogIn: z.boolean().describe('Whether a user and password can begin a session.'),
  token: z.string().exactOptional().describe('Sent in `X-Entrepot-Token` with each change; absent without a session.'),
  expiresAt: z
    .number()
    .exactOptional()
    .describe('When the session ends unless a person does something. Milliseconds since 1970.'),
});
export type SessionAnswer = z.infer<typeof sessionAnswer>;

const REMEDY =
  'write access: with a rule that may status, or run `entrepot console` on the machine of the server and open the address that it prints';

interface SessionDeskParts {
  readonly sessions: Sessions;
  readonly codes: Codes;
}

/** `/api/v1/session`: who a client is, and its session begun and ended. */
export class SessionDesk {
  readonly #sessions: Sessions;
  readonly #codes: Codes;

  constructor({ sessions, codes }: SessionDeskParts) {
    this.#sessions = sessions;
    this.#codes = codes;
  }

  /** @throws {ApiProblem} */
  async answer(request: GatedRequest): Promise<void> {
    const { context } = request;
    requireMethod(context, ['GET', 'POST', 'DELETE']);
    readQuery(context.query, z.object({}));
    if (context.method === 'POST') return this.#begin(request);
    const session = findSession(request.context, this.#sessions);
    if (context.method === 'DELETE') {
      if (session !== undefined) this.#sessions.end(session);
      const ended = { headers: { 'set-cookie': writeSessionId(context, undefined) } };
      return answerJson(
        context,
        this.#describe(request, { principal: { kind: 'anonymous' }, session: undefined }),
        ended,
      );
    }
    answerJson(context, this.#describe(request, { principal: request.gate.principal, session }));
  }

  async #begin(request: GatedRequest): Promise<void> {
    const { context, guard } = request;
    const input = checkInput(sessionInput, await readJson(context), { isQuery: false });
    const principal = 'code' in input ? this.#redeem(input.code) : await logIn(request, input);
    const version = guard === undefined ? undefined : await guard.versionOf(principal);
    // A session that the browser had before ends: its id may be known to who gave it.
    const before = findSession(context, this.#sessions);
    if (before !== undefined) this.#sessions.end(before);
    const { id, session } = this.#sessions.begin({ principal, version });
    context.user = nameOf(principal);
    answerJson(context, this.#describe(request, { principal, session }), {
      headers: { 'set-cookie': writeSessionId(context, id) },
    });
  }

  #redeem(code: string): Principal {
    if (this.#codes.redeem(code)) return OPERATOR_PRINCIPAL;
    throw new ApiProblem(401, 'the code is used up, or a minute old; run `entrepot console` again', {
      headers: { 'www-authenticate': 'Session realm="entrepot"' },
    });
  }

  #describe(
    { gate, guard, isOpen: isOpenHere }: GatedRequest,
    { principal, session }: { readonly principal: Principal; readonly session: Session | undefined },
  ): SessionAnswer {
    const may = (action: 'status' | 'admin') => gate.authorize({ principal, action, repository: undefined }).allowed;
    const isOpen = guard !== undefined || isOpenHere || principal.kind === 'operator';
    return {
      principal: nameOf(principal),
      mode: guard !== undefined ? 'rules' : isOpen ? 'open' : 'closed',
      ...(isOpen ? {} : { remedy: REMEDY }),
      canRead: isOpen && may('status'),
      canChange: isOpen && may('admin'),
      canLogIn: guard?.hasLogins === true,
      ...(session === undefined ? {} : { token: session.token, expiresAt: this.#sessions.expiryOf(session) }),
    };
  }
}

/** @throws {ApiProblem} 401 for a wrong password, 429 after too many, 403 where no user can log in */
async function logIn(
  { context, guard }: ApiRequest,
  { user, password }: { readonly user: string; readonly password: string },
): Promise<Principal> {
  if (guard?.hasLogins !== true) {
    throw new ApiProblem(
      403,
      'this server has no users; run `entrepot console`, or `entrepot users add NAME` and write access:',
    );
  }
  try {
    return await guard.logIn({ name: user, password, address: context.client });
  } catch (error) {
    if (error instanceof TooManyGuessesError) {
      throw new ApiProblem(429, error.message, { retryAfter: error.retryAfter, cause: error });
    }
    if (!(error instanceof CredentialError)) throw error;
    throw new ApiProblem(401, error.message, {
      headers: { 'www-authenticate': 'Session realm="entrepot"' },
      cause: error,
    });
  }
}

/** The session that a request shows, while it holds. */
export function findSession(context: ApiRequest['context'], sessions: Sessions): Session | undefined {
  const { cookie, 'x-entrepot-active': active } = context.request.headers;
  const id = readSessionId(context, cookie);
  return id === undefined ? undefined : sessions.find(id, { isActive: active === '1' });
}

/**
 * The principal of the session that a request shows; undefined where it shows none that holds, and for the beginning of one.
 *
 * @throws {ApiProblem} 403 for a change that does not show the token of the session
 */
export async function identifySession(request: ApiRequest, sessions: Sessions): Promise<Principal | undefined> {
  const { context } = request;
  if (context.method === 'POST' && context.path === '/api/v1/session') return undefined;
  const session = findSession(context, sessions);
  if (session === undefined) return undefined;
  if (!(await holds(session, request))) {
    sessions.end(session);
    return undefined;
  }
  if (context.isReading) return session.principal;
  const shown = context.request.headers['x-entrepot-token']?.toString();
  if (isTokenOf(session, shown)) return session.principal;
  throw new ApiProblem(403, 'a change by a session shows its token in X-Entrepot-Token; GET /api/v1/session has it', {
    headers: { connection: 'close' },
  });
}

/** Whether the principal of a session is still there, with the secret by which it logged in. */
export async function holds(
  { principal, version }: Pick<Session, 'principal' | 'version'>,
  { guard }: Pick<ApiRequest, 'guard'>,
): Promise<boolean> {
  if (principal.kind === 'operator' || principal.kind === 'anonymous') return true;
  if (guard === undefined) return false;
  await guard.refresh();
  return version !== undefined && (await guard.versionOf(principal)) === version;
}
