import type { IncomingMessage, ServerResponse } from 'node:http';
import {
  type AccessRequest,
  ANONYMOUS,
  type Authorize,
  CredentialError,
  type Decision,
  type Guard,
  type Identity,
  isAudited,
  nameOf,
  openGate,
  TooManyGuessesError,
} from '../access/index.ts';
import { continueVia, loopIn } from '../lib/index.ts';
import { loopDetected, OciError } from '../oci/index.ts';
import type { Telemetry } from '../telemetry/index.ts';
import { audienceOf, BASIC, formatChallenge, type OwnNames, ownBase } from './challenge.ts';
import type { Door, DoorRequest, ParsedRequest } from './door.ts';
import { ClientLeftError, discardBody, isBodyEmpty, RequestContext, replyError } from './exchange/index.ts';
import { type Admission, OverloadError } from './limits/index.ts';

interface DispatchOptions {
  /** The first door that recognizes a request handles it. The last one recognizes every request. */
  readonly doors: readonly Door[];
  readonly telemetry: Telemetry;
  /** The name of this server in `Via`; see `createPseudonym`. */
  readonly pseudonym: string;
  /** Gives out the slots of `limits.max_inflight`. @default no limit */
  readonly admission?: Admission | undefined;
  /** Identifies clients and decides by the rules of `access:`. @default there are no rules */
  readonly guarded?: Guarded | undefined;
  /** Decides where there are no rules. @default every client may read */
  readonly open?: Authorize | undefined;
}

interface Guarded {
  readonly guard: Guard;
  readonly names: OwnNames;
}

const LOCAL = openGate({ isReachable: false });

/**
 * Takes each request through its door: loop, slot, parse, identify, gate, answer, in this order for every door. docs/request-flow.md draws
 * the way; a change here is a change there.
 *
 * Rejects only where not even an error could be answered. The caller handles that: one request never ends the process.
 */
export function createDispatch(
  options: DispatchOptions,
): (request: IncomingMessage, response: ServerResponse) => Promise<void> {
  const { doors, telemetry } = options;
  return async (request, response) => {
    const context = new RequestContext(request, response, telemetry);
    let opened: DoorRequest | undefined;
    try {
      for (const door of doors) {
        opened = door.open(context);
        if (opened !== undefined) break;
      }
      if (opened === undefined) throw new OciError('UNSUPPORTED', 'nothing is served at this path', { status: 404 });
      await pass(context, opened, options);
    } catch (error) {
      await settleBody(context, error);
      fail(context, error, opened, telemetry);
    }
  };
}

async function pass(
  context: RequestContext,
  opened: DoorRequest,
  { admission, pseudonym, telemetry, guarded, open = LOCAL }: DispatchOptions,
): Promise<void> {
  if (opened.takesSlot) {
    const { headers, httpVersion: version } = context.request;
    // Before it waits for anything: the request behind it holds a slot, and the answer that it would join waits for it.
    const loop = loopIn(headers.via, pseudonym);
    if (loop !== undefined) throw loopDetected(loop);
    context.via = continueVia(headers.via, { pseudonym, version, request: context.id });
  }
  // A GET takes no body, and one without bytes is none. Before the slot: the client may let it wait.
  if (context.isReading && context.hasBody) context.hasBody = !(await isBodyEmpty(context.request));
  // Before the request is parsed, so that a malformed request counts against its client's rate too.
  if (opened.takesSlot) await admission?.admit(context);
  context.slotAt = performance.now();
  const parsed = opened.parse();
  // The gate comes before the cache: what is cached for one client is never shown to another who may not see it.
  const authorize = guarded === undefined ? open : (request: AccessRequest) => guarded.guard.authorize(request);
  const { access, isPublic } = parsed;
  let identity = UNIDENTIFIED;
  const own = parsed.identify === undefined ? undefined : await parsed.identify();
  if (own !== undefined) {
    identity = { principal: own, shown: true };
    context.user = nameOf(own);
  } else if (guarded !== undefined && (access !== undefined || parsed.identify !== undefined)) {
    const client = { context, parsed, guarded };
    // Almost every request shows a token that was verified before: then nothing is waited for.
    identity = identityAtHand(client) ?? (await identityOf(client));
    noteIdentity(client, identity);
  }
  const { principal } = identity;
  let decision: Decision | undefined;
  if (access !== undefined) {
    const asked = { principal, action: access.action, repository: access.repository };
    decision = authorize(asked);
    if (decision.allowed && decision.onlyPublic === true && (await isPublic?.()) === false) {
      decision = { allowed: false, reason: decision.reason };
    }
    if (guarded !== undefined) noteDecision(context, telemetry, { asked, decision });
    if (!decision.allowed) throw refusalOf({ context, parsed, guarded }, identity, decision.reason);
    context.rule = decision.rule;
  }
  const isFiltered = guarded !== undefined || (decision?.allowed === true && decision.onlyPublic === true);
  context.passedAt = performance.now();
  await parsed.answer({ principal, isFiltered, authorize });
}

const UNIDENTIFIED: Identity = { principal: ANONYMOUS, shown: false };

/** A request at a server with rules. */
interface GuardedClient {
  readonly context: RequestContext;
  readonly parsed: ParsedRequest;
  readonly guarded: Guarded;
}

/** Who a client is, where nothing has to be waited for. */
function identityAtHand({ context, guarded: { guard, names } }: GuardedClient): Identity | undefined {
  if (context.principal !== undefined) return { principal: context.principal, shown: true };
  const { authorization } = context.request.headers;
  return guard.identifyKnown({ authorization, audience: audienceOf(context, names) });
}

/** Who a client is. @throws {OciError} for a credential that is not valid */
async function identityOf(client: GuardedClient): Promise<Identity> {
  const { context, guarded } = client;
  const { guard, names } = guarded;
  try {
    const { authorization } = context.request.headers;
    return await guard.identify({ authorization, address: context.client, audience: audienceOf(context, names) });
  } catch (error) {
    if (error instanceof TooManyGuessesError) {
      throw new OciError('TOOMANYREQUESTS', error.message, { retryAfter: error.retryAfter });
    }
    if (!(error instanceof CredentialError)) throw error;
    const headers = { 'www-authenticate': challengeOf(client, { failed: true }) };
    throw new OciError('UNAUTHORIZED', error.message, { headers });
  }
}

/** @throws {OciError} for the version check of a client that can log in, and shows nothing: by the answer it learns that it can */
function noteIdentity(client: GuardedClient, { principal, shown }: Identity): void {
  const { context, parsed } = client;
  // Of a door that passes on what clients send: a mirror route.
  if (parsed.challenge === undefined) withholdCredential(context);
  if (principal.kind !== 'anonymous') context.user = nameOf(principal);
  else if (!shown && parsed.access?.action === 'connect' && canLogIn(client))
    throw loginWanted(client, 'log in, or ask for an anonymous token');
}

/** What is not allowed answers the same whether it exists or not: 401 with a challenge where the client may log in, 403 where it has. */
function refusalOf(
  { context, parsed, guarded }: Omit<GuardedClient, 'guarded'> & { readonly guarded: Guarded | undefined },
  { principal }: Identity,
  reason: string,
): OciError {
  if (guarded === undefined || principal.kind !== 'anonymous') return new OciError('DENIED', reason);
  const client = { context, parsed, guarded };
  return canLogIn(client) ? loginWanted(client, `${reason}; log in`) : new OciError('DENIED', reason);
}

function canLogIn({ context, guarded }: GuardedClient): boolean {
  // A client of the forward proxy has identified itself to the proxy: a challenge would make it log in to another server.
  // And a challenge that no client can meet would keep Docker from pulling what is open.
  return context.principal === undefined && guarded.guard.hasLogins;
}

function loginWanted(client: GuardedClient, reason: string): OciError {
  return new OciError('UNAUTHORIZED', reason, {
    headers: { 'www-authenticate': challengeOf(client, { failed: false }) },
  });
}

function challengeOf(
  { context, parsed: { challenge }, guarded: { names } }: GuardedClient,
  { failed }: { readonly failed: boolean },
): string {
  if (challenge === undefined) return BASIC;
  if (challenge === 'session') return SESSION;
  return formatChallenge(ownBase(context, names), { ...challenge, ns: context.ns, failed });
}

/** No browser has a dialog for it. */
const SESSION = 'Session realm="entrepot"';

/** What `entrepot access suggest` and the metrics count once the request has ended. */
function noteDecision(
  context: RequestContext,
  telemetry: Telemetry,
  { asked, decision }: { readonly asked: AccessRequest; readonly decision: Decision },
): void {
  const { principal, action, repository } = asked;
  // It decides nothing but whether a client logs in.
  if (action === 'connect') return;
  const audited = isAudited(decision);
  const who = context.user ?? nameOf(principal);
  context.access = {
    principal: who,
    action,
    registry: repository?.registry,
    repository: repository?.repository,
    verdict: audited ? 'would-deny' : decision.allowed ? 'allowed' : 'denied',
  };
  if (!audited) return;
  const { registry = '', repository: name = '' } = context.access;
  telemetry.publish('access.would_deny', {
    principal: who,
    action,
    registry,
    repository: name,
    id: context.id,
    client: context.client,
  });
}

/** What identifies a client here is for no other server. */
function withholdCredential({ request: { headers, rawHeaders } }: RequestContext): void {
  delete headers.authorization;
  for (let at = rawHeaders.length - 2; at >= 0; at -= 2) {
    if (rawHeaders[at]?.toLowerCase() === 'authorization') rawHeaders.splice(at, 2);
  }
}

/**
 * Drops what a client still sends of a request that is refused, so that it sees its answer. Not where the server is overloaded, nor of a
 * GET, which has no body.
 */
async function settleBody(context: RequestContext, error: unknown): Promise<void> {
  const { response, isReading } = context;
  if (isReading || response.headersSent || response.destroyed || error instanceof OverloadError) return;
  await discardBody(context);
}

function fail(context: RequestContext, error: unknown, opened: DoorRequest | undefined, telemetry: Telemetry): void {
  if (error instanceof ClientLeftError || context.response.destroyed) {
    context.response.destroy();
    return;
  }
  if (opened?.fail?.(error) === true) return;
  if (error instanceof OciError) return replyError(context, error);
  telemetry.publish('warning', { message: `Cannot answer ${context.method} ${context.path}`, error });
  replyError(context, new OciError('UNKNOWN', `internal error; the log has more under ${context.id}`));
}
