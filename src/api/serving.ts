import { nameOf, type Principal } from '../access/index.ts';
import { type Caller, OPERATOR, type Operation, type TransferStatus } from '../admin/index.ts';
import type { Repository } from '../oci/index.ts';
import type { RequestContext } from '../server/index.ts';
import type { Telemetry } from '../telemetry/index.ts';
import { createDocument } from './document/index.ts';
import { EventHub, type LiveSource, telemetrySource, transferSource } from './events/index.ts';
import { eventsInput, followEvents } from './follow.ts';
import { createOperations, isOffered } from './operations.ts';
import { ApiProblem } from './problem.ts';
import { answerJson, requireMethod } from './reply.ts';
import type { ApiRequest, GatedRequest } from './request.ts';
import { identifySession, SessionDesk, sessionAnswer, sessionInput } from './session-desk.ts';
import { Codes, Sessions } from './sessions/index.ts';

/** What answers the API, for as long as the process lives: sessions outlast a reload. Loaded at the first request. */
export interface ApiHost {
  readonly serving: () => Promise<Serving>;
  /** Ends the streams of events, where there are any. */
  readonly endStreams: () => void;
}

export interface ServingOptions<Context> {
  /** Of this program. */
  readonly version: string;
  readonly operations: readonly Operation<unknown, unknown, NoInfer<Context>>[];
  readonly context: Context;
  /** Whether every client may see a repository, where the gate makes that the condition. */
  readonly isPublic: (repository: Repository) => Promise<boolean>;
  readonly telemetry: Telemetry;
  /** The transfers under way, the oldest first. */
  readonly transfers: () => readonly TransferStatus[];
  /** Of events that telemetry does not have. */
  readonly sources: readonly LiveSource[];
  /** Milliseconds. @default Date.now */
  readonly now?: () => number;
}

export interface Serving {
  /**
   * Asked before who the client is: the paths and their methods are public.
   *
   * @throws {ApiProblem} 405 for a method that the path does not have
   */
  readonly requireMethod: (context: RequestContext) => void;
  /** The principal of the session that a request shows. @throws {ApiProblem} for a change without its token */
  readonly identifySession: (request: ApiRequest) => Promise<Principal | undefined>;
  /** @throws {ApiProblem} */
  readonly answer: (request: GatedRequest) => Promise<void>;
  /** A code that begins one session of the operator. */
  readonly issueCode: () => { readonly code: string; readonly expiresAt: number };
  /** Ends the streams of events, and takes no more: they would keep a server from stopping. */
  readonly endStreams: () => void;
  /** Ends sessions and streams. */
  readonly close: () => void;
}

const PREFIX = '/api/v1/';

/** The methods of paths that are no operation. */
const PATHS: ReadonlyMap<string, readonly string[]> = new Map([
  ['/api', ['GET']],
  ['/api/', ['GET']],
  ['/api/v1', ['GET']],
  ['/api/openapi.json', ['GET']],
  ['/api/v1/events', ['GET']],
  ['/api/v1/session', ['GET', 'POST', 'DELETE']],
]);

/** Makes what answers the API. */
export function createServing<Context>(options: ServingOptions<Context>): Serving {
  const clock = options.now === undefined ? {} : { now: options.now };
  const sessions = new Sessions(clock);
  const codes = new Codes(clock);
  const desk = new SessionDesk({ sessions, codes });
  const { telemetry } = options;
  const hub: EventHub = new EventHub({
    sources: [
      telemetrySource(telemetry),
      transferSource(options.transfers),
      ...options.sources,
      () => telemetry.on('account.changed', () => void hub.check()),
    ],
    onWarning: (message, error) => telemetry.publish('warning', { message, error }),
  });
  const callerOf = (request: GatedRequest): Caller => createCaller(request, options.isPublic);
  const named = createOperations({ ...options, callerOf });
  let document: ReturnType<typeof createDocument> | undefined;
  const makeDocument = () =>
    createDocument({
      version: options.version,
      operations: options.operations.filter(isOffered),
      session: { input: sessionInput, answer: sessionAnswer },
      events: eventsInput,
    });
  const methodsOf = (path: string): readonly string[] | undefined =>
    PATHS.get(path) ?? (path.startsWith(PREFIX) ? named.methodsOf(path.slice(PREFIX.length)) : undefined);
  return {
    requireMethod(context) {
      const methods = methodsOf(context.path);
      if (methods !== undefined) requireMethod(context, methods);
    },
    identifySession: (request) => identifySession(request, sessions),
    async answer(request) {
      const { path } = request.context;
      if (path === '/api/v1/session') return desk.answer(request);
      if (path === '/api/v1/events') return followEvents(request, { hub, sessions, caller: callerOf(request) });
      if (path === '/api/openapi.json') {
        requireMethod(request.context, ['GET']);
        return answerJson(request.context, await (document ??= makeDocument()));
      }
      if (path.startsWith(PREFIX)) return named.run(request, path.slice(PREFIX.length));
      if (path === '/api' || path === '/api/' || path === '/api/v1') {
        requireMethod(request.context, ['GET']);
        return answerJson(request.context, { openapi: '/api/openapi.json', operations: '/api/v1/' });
      }
      throw new ApiProblem(404, 'nothing is served at this path; /api/openapi.json lists what is');
    },
    issueCode: () => codes.issue(),
    endStreams: () => hub.close(),
    close() {
      hub.close();
      sessions.close();
    },
  };
}

/** Who asks, for an operation. */
function createCaller(
  { gate: { principal, authorize }, opensAll }: GatedRequest,
  isPublic: ServingOptions<never>['isPublic'],
): Caller {
  const name = nameOf(principal);
  if (principal.kind === 'operator') return { ...OPERATOR, name };
  return {
    name,
    seesAll: false,
    seesClients: opensAll || authorize({ principal, action: 'admin', repository: undefined }).allowed,
    sees(repository) {
      const decision = authorize({ principal, action: 'pull', repository });
      return decision.allowed && (decision.onlyPublic === true ? isPublic(repository) : true);
    },
    mayPush: (repository) => authorize({ principal, action: 'push', repository }).allowed,
  };
}
