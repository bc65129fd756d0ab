import type { Guard, Principal } from '../access/index.ts';
import type { Door, RequestContext } from '../server/index.ts';
import { redactText, type Telemetry } from '../telemetry/index.ts';
import { isCrossSite, isOwnHost, type OwnHosts } from './own-host.ts';
import { ApiProblem, problemOf, replyProblem } from './problem.ts';
import type { ApiHost } from './serving.ts';
import type { OnThisMachine } from './this-machine.ts';

export interface ApiDoorOptions {
  /** Undefined without rules: then reading is open on this machine alone. */
  readonly guard: Guard | undefined;
  /** Whether other machines reach the server: then what is private is not for every client of this machine either. */
  readonly isReachable: boolean;
  readonly hosts: OwnHosts;
  readonly isOnThisMachine: OnThisMachine;
  readonly api: ApiHost;
  readonly telemetry: Telemetry;
}

const PATH = /^\/api(?:\/|$)/;

/**
 * The door of the HTTP API. It takes no slot of `limits.max_inflight`: an operator looks at a server that is full. Only what recognizes and
 * refuses a request is here; what answers is loaded at the first request.
 */
export function createApiDoor({ guard, isReachable, hosts, isOnThisMachine, api, telemetry }: ApiDoorOptions): Door {
  return {
    open(context) {
      if (!PATH.test(context.path)) return undefined;
      const { isReading } = context;
      return {
        takesSlot: false,
        parse() {
          context.route = 'api';
          requireOwn(context, hosts);
          const isSession = context.path === '/api/v1/session';
          return {
            // Who one is may be asked, and a session begun and ended, without a right.
            access: isSession ? undefined : { action: isReading ? 'status' : 'admin', repository: undefined },
            challenge: 'session',
            identify: () => identify(context, { guard, api, isSession, isOnThisMachine }),
            async answer(gate) {
              const { answer } = await api.serving();
              const isOpen = guard === undefined && (await isOnThisMachine(context));
              await answer({ context, gate, guard, isOpen, opensAll: isOpen && !isReachable });
            },
          };
        },
        fail(error) {
          const problem = problemOf(error) ?? defect(context, error, telemetry);
          replyProblem(context, problem);
          // The line of the request tells the operator what the client is not told.
          if (problem.status === 500) context.error = redactText(whyOf(error));
          return true;
        },
      };
    },
  };
}

/** `Error: database or disk is full (ERR_SQLITE_ERROR)` */
function whyOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const code = 'code' in error && typeof error.code === 'string' ? ` (${error.code})` : '';
  return `${error.name}: ${error.message}${code}`.slice(0, MAX_WHY);
}

/** Characters. */
const MAX_WHY = 1000;

/** What went wrong is for the log. */
function defect(context: RequestContext, error: unknown, telemetry: Telemetry): ApiProblem {
  telemetry.publish('warning', { message: `Cannot answer ${context.method} ${context.path}`, error });
  return new ApiProblem(500, `internal error; the log has more under ${context.id}`, { cause: error });
}

/** @throws {ApiProblem} for a request that a page of another site may have sent */
function requireOwn(context: RequestContext, hosts: OwnHosts): void {
  const { host, scheme, isReading } = context;
  // The connection may hold a body that is not read.
  const headers = isReading ? {} : { connection: 'close' };
  if (!isOwnHost(hosts, context)) {
    const name = host === undefined || host === '' ? 'a server without a name' : host.slice(0, 300);
    const remedy = `set public_url: ${scheme}://${host === undefined || host === '' ? 'HOST' : host.slice(0, 300)}`;
    throw new ApiProblem(421, `this server does not know itself as ${name}; ${remedy}`, { headers });
  }
  const { origin, 'sec-fetch-site': site } = context.request.headers;
  if (!isCrossSite(hosts, { origin, site: site?.toString(), isReading, host, scheme })) return;
  throw new ApiProblem(403, 'the request comes from a page of another site; open the page of this server itself', {
    headers,
  });
}

interface Asked {
  readonly guard: Guard | undefined;
  readonly api: ApiHost;
  readonly isSession: boolean;
  readonly isOnThisMachine: OnThisMachine;
}

/** The principal of a session; undefined where there is none, and the gate asks for another credential. */
async function identify(
  context: RequestContext,
  { guard, api, isSession, isOnThisMachine }: Asked,
): Promise<Principal | undefined> {
  const { identifySession, requireMethod } = await api.serving();
  requireMethod(context);
  const principal = await identifySession({ context, guard });
  if (principal !== undefined || guard !== undefined || isSession) return principal;
  if (!(await isOnThisMachine(context))) throw new ApiProblem(403, CLOSED, { headers: closing(context) });
  if (!context.isReading) throw new ApiProblem(403, NO_SESSION, { headers: closing(context) });
  return undefined;
}

/** What to write where a server without rules is asked from elsewhere. */
export const CLOSED =
  'without access rules the API is open to the user of the server on its own machine alone; write access: with a rule that may status, or run `entrepot console` there';
const NO_SESSION =
  'without access rules a change takes a session; run `entrepot console`, or write access: with a rule that may admin';

function closing({ isReading }: RequestContext): Readonly<Record<string, string>> {
  return isReading ? {} : { connection: 'close' };
}
