import type { Action } from '../access/index.ts';
import type { Door } from './door.ts';
import { type RequestContext, replyBytes } from './exchange/index.ts';
import { answerHealth, type HealthOptions } from './health.ts';
import { requireReading } from './reading.ts';

/** A page or document that is not part of the registry API. */
export interface Page {
  readonly contentType: string;
  readonly body: string;
}

/** One page: where it is, what the gate is asked for it, and what it shows. */
export interface PageRow {
  /** In the log and the metrics. */
  readonly route: string;
  readonly paths: readonly string[];
  /** What the gate is asked; undefined where every client may. */
  readonly action?: Action;
  readonly page: (context: RequestContext) => Page | Promise<Page>;
}

/** The door of the server's own pages. Pages take no slot: they answer where pulls have to wait. */
export function createPageDoor(rows: readonly PageRow[]): Door {
  const byPath = new Map(rows.flatMap((row) => row.paths.map((path) => [path, row] as const)));
  return {
    open(context) {
      const row = byPath.get(context.path);
      if (row === undefined) return undefined;
      return {
        takesSlot: false,
        parse() {
          requireReading(context);
          context.route = row.route;
          return row.action === undefined ? undefined : { action: row.action, repository: undefined };
        },
        async answer() {
          const { contentType, body } = await row.page(context);
          replyBytes(context, 200, { 'content-type': contentType, 'cache-control': 'no-store', vary: 'accept' }, body);
        },
        fail: () => false,
      };
    },
  };
}

/** The door of load balancers and orchestrators; open to every client. */
export function createHealthDoor(options: HealthOptions): Door {
  return {
    open(context) {
      const health = answerHealth(context.path, context.request.headers.accept, options);
      if (health === undefined) return undefined;
      return {
        takesSlot: false,
        parse() {
          requireReading(context);
          context.route = 'health';
          return undefined;
        },
        answer: () => replyBytes(context, health.status, health.headers, health.body),
        fail: () => false,
      };
    },
  };
}

/**
 * A token for clients that insist on one; it opens nothing, because nothing is closed to anonymous clients.
 *
 * Never a relay: crproxy's `/token/<any URL>` handed its users' credentials to the host named in the URL.
 */
export function anonymousToken(): Page {
  const token = { token: 'anonymous', access_token: 'anonymous', expires_in: 300, issued_at: new Date().toISOString() };
  return { contentType: 'application/json', body: JSON.stringify(token) };
}
