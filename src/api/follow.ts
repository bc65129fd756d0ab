import * as z from 'zod';
import { type Caller, LIVE_EVENTS } from '../admin/index.ts';
import { replyEmpty } from '../server/index.ts';
import { type EventHub, EventStream, STREAM_HEADERS } from './events/index.ts';
import { ApiProblem } from './problem.ts';
import { checkInput, readQuery } from './query.ts';
import { requireMethod } from './reply.ts';
import type { GatedRequest } from './request.ts';
import { findSession, holds } from './session-desk.ts';
import type { Session, Sessions } from './sessions/index.ts';

const KINDS: ReadonlySet<string> = new Set(Object.keys(LIVE_EVENTS));

/** The query of `GET /api/v1/events`. */
export const eventsInput = z.object({
  kinds: z
    .string({ error: 'expected kinds of events, separated by commas' })
    .max(500)
    .optional()
    .describe(`Kinds of events, separated by commas: ${[...KINDS].join(', ')}. All of them by default.`),
});

interface FollowParts {
  readonly hub: EventHub;
  readonly sessions: Sessions;
  readonly caller: Caller;
}

/** `GET /api/v1/events`. Resolves when the stream has ended. @throws {ApiProblem} */
export async function followEvents(request: GatedRequest, { hub, sessions, caller }: FollowParts): Promise<void> {
  const { context } = request;
  requireMethod(context, ['GET']);
  const { kinds } = checkInput(eventsInput, readQuery(context.query, eventsInput), { isQuery: true });
  const wanted = kinds === undefined ? undefined : kindsOf(kinds);
  if (context.isHead) return replyEmpty(context, 200, STREAM_HEADERS);
  const session = findSession(context, sessions);
  const client = clientOf(request, session);
  hub.admit(client);
  const mayFollow = await rightOf(request, { session, sessions });
  context.isFollowed = true;
  context.route = 'events';
  const stream = new EventStream({ context, kinds: wanted, caller, idOf: hub.idOf });
  const leave = hub.follow({ stream, client, mayFollow }, context.request.headers['last-event-id']?.toString());
  const ended = Promise.withResolvers<void>();
  const check = (): void => void hub.check();
  session?.ended.addEventListener('abort', check, { once: true });
  context.response.once('close', () => {
    session?.ended.removeEventListener('abort', check);
    leave();
    ended.resolve();
  });
  await ended.promise;
}

/** @throws {ApiProblem} 400 */
function kindsOf(text: string): ReadonlySet<string> {
  const kinds = text.split(',').map((kind) => kind.trim());
  const unknown = kinds.find((kind) => !KINDS.has(kind));
  if (unknown === undefined) return new Set(kinds);
  const detail = `unknown kind of event: ${JSON.stringify(unknown.slice(0, 50))}; there are ${[...KINDS].join(', ')}`;
  throw new ApiProblem(400, 'a parameter of the query is wrong', { errors: [{ parameter: 'kinds', detail }] });
}

/** Whose streams are counted together: those of a session, a principal, or else of an address. */
function clientOf({ context, gate: { principal } }: GatedRequest, session: Session | undefined): string {
  if (session !== undefined) return `session ${session.token}`;
  return 'name' in principal ? `${principal.kind} ${principal.name}` : `address ${context.client}`;
}

/** Whether a client may go on: its session holds, its secret is the same, and the gate allows it. */
async function rightOf(
  { gate: { principal, authorize }, guard }: GatedRequest,
  { session, sessions }: { readonly session: Session | undefined; readonly sessions: Sessions },
): Promise<() => Promise<boolean>> {
  const version = guard === undefined ? undefined : await guard.versionOf(principal);
  return async () => {
    if (session !== undefined && !sessions.isKept(session)) return false;
    if (!(await holds({ principal, version }, { guard }))) return false;
    return authorize({ principal, action: 'status', repository: undefined }).allowed;
  };
}
