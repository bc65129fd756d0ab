import type { Guard, Principal } from '../access/index.ts';
import { clientInfoOf, type Door, isLoopback, type RequestContext } from '../server/index.ts';

import type { Telemetry } from '../telemetry/index.ts';
import { isCrossSite, isLoopbackHost, isOwnHost, type OwnHosts } from './own-host.ts';
import { ApiProblem, problemOf, replyProblem } from './problem.ts';
import type { ApiHost } from './serving.ts';

export interface ApiDoorOptions {
  /** Undefined without rules: then reading is open on this machine alone. */
  readonly guard: Guard | undefined;
  /** Whether other machines reach the server: then what is private is not for every client of this machine either. */
  readonly isReachable: boolean;
  readonly hosts: OwnHosts;
  readonly api: ApiHost;
  readonly telemetry: Telemetry;
}

const PATH = /^\/api(?:\/|$)/;

/**
 * The door of the HTTP API. It takes no slot of `limits.max_inflight`: an operator looks at a server that is full. Only what recognizes and
 * refuses a request is here; what answers is loaded at the first request.
 */
export function createApiDoor({ guard, isReachable, hosts, api, telemetry }: ApiDoorOptions): Door {
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
            identify: () => identify(context, { guard, api, isSession }),
            async answer(gate) {
              const { answer } = await api.serving();
              const isOpen = guard === undefined && isOnThisMachine(context);
              await answer({ context, gate, guard, isOpen, opensAll: isOpen && !isReachable });
            },
          };
        },
        fail(error) {
          const problem = problemOf(error) ?? defect(context, error, telemetry);
          replyProblem(context, problem);
          return true;
        },
      };
    },
  };
}

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
}

/** The principal of a session; undefined where there is none, and the gate asks for another credential. */
async function identify(context: RequestContext, { guard, api, isSession }: Asked): Promise<Principal | undefined> {
  const { identifySession } = await api.serving();
  const principal = await identifySession({ context, guard });
  if (principal !== undefined || guard !== undefined || isSession) return principal;
  if (!isOnThisMachine(context)) throw new ApiProblem(403, CLOSED, { headers: closing(context) });
  if (!context.isReading) throw new ApiProblem(403, NO_SESSION, { headers: closing(context) });
  return undefined;
}

/** What to write where a server without rules is asked from elsewhere. */
export const CLOSED =
  'without access rules the API is open on this machine alone; write access: with a rule that may status, or run `entrepot console` there';
const NO_SESSION =
  'without access rules a change takes a session; run `entrepot console`, or write access: with a rule that may admin';

function closing({ isReading }: RequestContext): Readonly<Record<string, string>> {
  return isReading ? {} : { connection: 'close' };
}

/** What a server in front adds. `X-Forwarded-` is a family. */
const FORWARDING = [
  'forwarded',
  'x-real-ip',
  'via',
  'cf-connecting-ip',
  'true-client-ip',
  'x-client-ip',
  'x-cluster-client-ip',
];

/**
 * Whether a request was sent on this machine, as far as can be told: a server in front connects from here as well, so nothing may show that
 * there is one.
 */
export function isOnThisMachine(context: RequestContext): boolean {
  const { request } = context;
  const { remoteAddress } = request.socket;
  // A Unix socket has no address.
  if (remoteAddress !== undefined && !isLoopback(remoteAddress)) return false;
  // nginx as it comes adds no header, keeps no Host, and speaks HTTP/1.0; nothing else does.
  if (request.httpVersionMinor === 0 && request.httpVersionMajor === 1) return false;
  if (clientInfoOf(request).entryPoint !== undefined || !isLoopbackHost(context)) return false;
  return !Object.keys(request.headers).some((name) => FORWARDING.includes(name) || name.startsWith('x-forwarded-'));
}
