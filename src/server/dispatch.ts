import type { IncomingMessage, ServerResponse } from 'node:http';
import { type Action, ANONYMOUS, authorize } from '../access/index.ts';
import type { PullThrough } from '../cache/index.ts';
import { OciError, parseRegistryPath, type RegistryPath, type Repository } from '../oci/index.ts';
import { type Catalogue, qualifyRepository, resolveName } from '../routing/index.ts';
import type { Telemetry } from '../telemetry/index.ts';
import type { Admission } from './admission.ts';
import { ClientLeftError, Exchange } from './exchange.ts';
import { toOciError, type Wanted } from './failure.ts';
import { answerHealth } from './health.ts';
import type { HelpRequest } from './help.ts';
import { loadMirror } from './late-parts.ts';
import type { Mirrors } from './mirror.ts';
import { answerRegistry } from './registry.ts';
import { replyBytes, replyError } from './reply.ts';

/** A page or document that is not part of the registry API. */
export interface Page {
  readonly contentType: string;
  readonly body: string;
}

export interface DispatchOptions {
  readonly catalogue: Catalogue;
  readonly cache: PullThrough;
  /** Other sites, each under a path of its own; looked at before everything else. */
  readonly mirrors?: Omit<Mirrors, 'urls' | 'admission'> | undefined;
  readonly telemetry: Telemetry;
  /** Whether new pulls are wanted; see /readyz. */
  readonly ready: () => boolean;
  /** Who is served now; own pages are for everybody. @default everybody */
  readonly admission?: Admission | undefined;
  readonly metrics: () => Promise<Page>;
  readonly help: (request: HelpRequest) => Page;
  /** PEM of the authority that clients are to trust where tunnels are looked into; served at /ca.crt. */
  readonly authority?: string | undefined;
}

/** What the gate is asked for each kind of request: permissions are data on the route, enforced in one place. */
const ACTIONS: Readonly<Record<Exclude<RegistryPath['kind'], 'uploads'>, Action>> = {
  base: 'pull',
  manifest: 'pull',
  blob: 'pull',
  tags: 'list',
  referrers: 'list',
  catalog: 'catalog',
};

const WANTED: Readonly<Record<RegistryPath['kind'], Wanted>> = {
  base: 'list',
  manifest: 'manifest',
  blob: 'blob',
  tags: 'list',
  referrers: 'list',
  catalog: 'list',
  uploads: 'blob',
};

/**
 * Takes a request to whoever answers it. The way is drawn in docs/request-flow.md; what changes here is to be changed there.
 *
 * It rejects only where not even an error could be answered, and whoever called it has to see to that: one request must
 * never be the end of the process.
 */
export function createDispatch(
  options: DispatchOptions,
): (request: IncomingMessage, response: ServerResponse) => Promise<void> {
  return async (request, response) => {
    const exchange = new Exchange(request, response, options.telemetry);
    let wanted: Wanted = 'list';
    try {
      await dispatch(exchange, options, (kind) => {
        wanted = WANTED[kind];
      });
    } catch (error) {
      fail(exchange, error, wanted, options.telemetry);
    }
  };
}

async function dispatch(
  exchange: Exchange,
  options: DispatchOptions,
  onKind: (kind: RegistryPath['kind']) => void,
): Promise<void> {
  const { catalogue, cache, mirrors, admission } = options;
  const match = mirrors?.routes.match(exchange.path, exchange.query);
  if (mirrors !== undefined && match !== undefined) {
    const { answerMirror } = await loadMirror();
    return answerMirror(exchange, match, { ...mirrors, urls: cache.urls, admission });
  }
  requireReading(exchange);
  if (await answerOwnPage(exchange, options)) return;

  exchange.route = 'registry';
  await admission?.admit(exchange);
  const ns = exchange.query === '' ? undefined : (new URLSearchParams(exchange.query).get('ns') ?? undefined);
  const name = resolveName(catalogue, { host: exchange.host, path: exchange.path, ns });
  exchange.registry = name.registry.name;
  exchange.ns = ns;
  const path = parseRegistryPath(name.path);
  onKind(path.kind);
  // Nothing is uploaded to a mirror, so nothing can be asked about an upload either.
  if (path.kind === 'uploads') throw writeRefused();
  const repository: Repository = {
    registry: name.registry.name,
    repository: 'repository' in path ? qualifyRepository(name.registry, path.repository) : '',
  };
  exchange.repository = repository.repository === '' ? undefined : repository.repository;

  // The gate comes before the cache: what is cached for one is never shown to another who may not see it.
  const decision = authorize({ principal: ANONYMOUS, action: ACTIONS[path.kind], repository });
  if (!decision.allowed) throw new OciError('DENIED', decision.reason);
  await answerRegistry({ exchange, name, path, repository }, cache);
}

function writeRefused(): OciError {
  // The connection may hold a body that nobody reads.
  return new OciError('UNSUPPORTED', 'this is a mirror: nothing can be pushed to it or deleted from it', {
    headers: { allow: 'GET, HEAD', connection: 'close' },
  });
}

/** A mirror is read: everything else is refused here, before any handler could forget to (CVE-2026-41888). */
function requireReading({ method, path, request }: Exchange): void {
  if (method !== 'GET' && method !== 'HEAD') {
    throw writeRefused();
  }
  const { 'content-length': length, 'transfer-encoding': encoding } = request.headers;
  if ((length !== undefined && length !== '0') || encoding !== undefined) {
    throw new OciError('UNSUPPORTED', `${method} takes no body`, { status: 400, headers: { connection: 'close' } });
  }
  if (!path.startsWith('/')) {
    throw new OciError('UNSUPPORTED', 'this is a registry mirror, not a forward proxy: ask it by path, as in /v2/', {
      status: 400,
      headers: { connection: 'close' },
    });
  }
}

/** Answers what is not the registry API; false where the path belongs to it. */
async function answerOwnPage(exchange: Exchange, options: DispatchOptions): Promise<boolean> {
  const { path, request } = exchange;
  if (path.startsWith('/v2/')) return false;
  const { accept } = request.headers;
  const { ready, admission } = options;
  const health = answerHealth(path, accept, { ready, overloaded: () => admission?.overloaded === true });
  if (health !== undefined) {
    exchange.route = 'health';
    replyBytes(exchange, health.status, health.headers, health.body);
    return true;
  }
  switch (path) {
    case '/metrics':
      exchange.route = 'metrics';
      sendPage(exchange, await options.metrics());
      return true;
    case '/':
    case '/help':
      exchange.route = 'help';
      sendPage(
        exchange,
        options.help({ host: exchange.host ?? 'localhost', accept, secure: exchange.scheme === 'https' }),
      );
      return true;
    case '/ca.crt':
      if (options.authority === undefined) return false;
      exchange.route = 'ca';
      sendPage(exchange, { contentType: 'application/x-x509-ca-cert', body: options.authority });
      return true;
    case '/token':
    case '/auth/token':
      exchange.route = 'token';
      sendPage(exchange, anonymousToken());
      return true;
    default:
      return false;
  }
}

function sendPage(exchange: Exchange, { contentType, body }: Page): void {
  replyBytes(exchange, 200, { 'content-type': contentType, 'cache-control': 'no-store', vary: 'accept' }, body);
}

/**
 * A token for clients that insist on one; it opens nothing, because nothing is closed to anonymous clients.
 *
 * Never a relay: crproxy's `/token/<any URL>` handed its users' credentials to whoever was named in the URL.
 */
function anonymousToken(): Page {
  const token = { token: 'anonymous', access_token: 'anonymous', expires_in: 300, issued_at: new Date().toISOString() };
  return { contentType: 'application/json', body: JSON.stringify(token) };
}

function fail(exchange: Exchange, error: unknown, wanted: Wanted, telemetry: Telemetry): void {
  if (error instanceof ClientLeftError || exchange.response.destroyed) {
    exchange.response.destroy();
    return;
  }
  const answer = toOciError(error, wanted);
  if (answer === undefined) {
    telemetry.publish('warning', { message: `Cannot answer ${exchange.method} ${exchange.path}`, error });
  }
  replyError(exchange, answer ?? new OciError('UNKNOWN', `internal error; the log has more under ${exchange.id}`));
}
