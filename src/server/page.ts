import type { Action } from '../access/index.ts';
import type { Door } from './door.ts';
import { type RequestContext, replyBytes } from './exchange/index.ts';
import { requireReading } from './reading.ts';

/** A page or document that is not part of the registry API. */
export interface Page {
  /** @default 200 */
  readonly status?: number;
  readonly contentType: string;
  /** More headers, lower-case names. @default `vary: accept` */
  readonly headers?: Readonly<Record<string, string>>;
  readonly body: string;
}

/** One page: its paths, its action at the gate, its content. */
export interface PageRow {
  /** In the log and the metrics. */
  readonly route: string;
  readonly paths: readonly string[];
  /** Undefined where every client may see it. */
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
          return {
            access: row.action === undefined ? undefined : { action: row.action, repository: undefined },
            answer: async () => send(context, await row.page(context)),
          };
        },
      };
    },
  };
}

function send(context: RequestContext, { status = 200, contentType, headers, body }: Page): void {
  const own = { 'content-type': contentType, 'cache-control': 'no-store', vary: 'accept' };
  replyBytes(context, status, { ...own, ...headers }, body);
}

/**
 * A token for clients that insist on one. It grants nothing: no part of this server is closed to anonymous clients.
 *
 * Never a relay: crproxy's `/token/<any URL>` handed its users' credentials to the host named in the URL.
 */
export function anonymousToken(): Page {
  const token = { token: 'anonymous', access_token: 'anonymous', expires_in: 300, issued_at: new Date().toISOString() };
  return { contentType: 'application/json', body: JSON.stringify(token) };
}
