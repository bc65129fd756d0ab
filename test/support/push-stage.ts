import { once } from 'node:events';
import { createServer, request as httpRequest, type OutgoingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { AccessRequest, Decision, Principal } from '../../src/access/index.ts';
import { createHttpClient, type HttpClient } from '../../src/net/index.ts';
import type { ConfiguredUpstream, RegistrySpec, TransportSpec } from '../../src/oci/index.ts';
import { createRegistryDoor } from '../../src/registry/index.ts';
import { createThroughRows, type ThroughOptions } from '../../src/registry/pushed/index.ts';
import type { Catalogue } from '../../src/routing/index.ts';
import { createDispatch } from '../../src/server/index.ts';
import { type Events, Telemetry } from '../../src/telemetry/index.ts';
import { createUpstreams } from '../../src/upstream/index.ts';
import { type CacheWorld, cacheWorld, type Scope, type WorldOptions } from './cache-world.ts';
import { upstreamSpec } from './transport-spec.ts';

export interface PushStageOptions extends Pick<ThroughOptions, 'isHosted' | 'isImmutable' | 'hasImmutable' | 'key'> {
  readonly upstreams: readonly (Partial<ConfiguredUpstream> & { readonly url: string })[];
  readonly transport?: Partial<TransportSpec>;
  /** What the gate says. @default alice may do everything, others may pull */
  readonly decide?: (request: AccessRequest) => Decision;
  readonly world?: WorldOptions;
}

export interface Reply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly body: Buffer;
  /** The code of an error body. */
  readonly code: string | undefined;
  readonly message: string | undefined;
}

export interface Sent {
  readonly headers?: OutgoingHttpHeaders;
  readonly body?: Buffer | AsyncIterable<Buffer> | undefined;
  /** Who asks: the name of a user; '' for none. @default 'alice' */
  readonly as?: string;
}

export interface PushStage {
  readonly world: CacheWorld;
  readonly url: string;
  readonly telemetry: Telemetry;
  /** Path and query, or a `Location`. */
  readonly ask: (method: string, path: string, sent?: Sent) => Promise<Reply>;
  /** Every event of a kind so far. */
  seen<K extends keyof Events>(kind: K): readonly Events[K][];
}

const ALLOWED = { allowed: true } as const;

/** The registry API in front of a cache, over real sockets, with pushes that pass through to upstreams. */
export async function pushStage(t: Scope, options: PushStageOptions): Promise<PushStage> {
  const world = await cacheWorld(t, options.world);
  const telemetry = new Telemetry();
  const events: { readonly kind: string; readonly event: unknown }[] = [];
  const kinds = [
    'blob.pushed',
    'manifest.pushed',
    'tag.moved',
    'tag.deleted',
    'manifest.deleted',
    'upstream.health',
  ] as const;
  for (const kind of kinds) telemetry.on(kind, (event) => events.push({ kind, event }));
  const clients = new Map<TransportSpec, HttpClient>();
  const made = createUpstreams({
    httpClientFor(transport) {
      const client =
        clients.get(transport) ?? createHttpClient({ responseHeaderTimeout: transport.responseHeaderTimeout });
      clients.set(transport, client);
      return client;
    },
    telemetry,
    now: Date.now,
  });
  const registry: RegistrySpec = {
    name: 'ghcr.io',
    hosts: [],
    aliases: [],
    pathNames: [],
    library: false,
    delivery: 'stream',
    upstreams: options.upstreams.map((each) => upstreamSpec(each, { outboundProxy: 'none', ...options.transport })),
  };
  const catalogue: Catalogue = {
    default: registry,
    domainSuffix: undefined,
    ownHosts: new Set(),
    byName: (name) => (name === registry.name ? registry : undefined),
    byHost: () => undefined,
    byAlias: () => undefined,
    byPathName: (name) => (name === registry.name ? registry : undefined),
    list: () => [registry],
  };
  const originFor = () => Object.assign(async () => made.originOf(registry), { hops: 0 });
  const pushed = createThroughRows({
    pushOriginFor: (spec, via) => async () => made.pushOriginOf(spec, via),
    cache: world.cache,
    telemetry,
    isHosted: options.isHosted,
    isImmutable: options.isImmutable,
    hasImmutable: options.hasImmutable,
    key: options.key,
  });
  const decide =
    options.decide ??
    (({ principal, action }) =>
      action === 'pull' || action === 'connect' || (principal.kind === 'user' && principal.name === 'alice')
        ? ALLOWED
        : { allowed: false, reason: 'not for you' });
  const guard = {
    hasLogins: false,
    identifyKnown: () => undefined,
    authorize: decide,
    identify: async ({ authorization }: { authorization: string | undefined }) => {
      const name = authorization?.replace('Test ', '') ?? '';
      const principal: Principal = name === '' ? { kind: 'anonymous' } : { kind: 'user', name };
      return { principal, shown: name !== '' };
    },
  };
  const handle = createDispatch({
    doors: [
      createRegistryDoor({
        catalogue,
        cache: world.cache,
        telemetry,
        originFor,
        pushed,
        anonymousFor: () => undefined,
      }),
    ],
    telemetry,
    pseudonym: 'entrepot-0123456789abcdef',
    guarded: { guard: guard as never, names: { publicUrls: [], domainSuffix: undefined } },
  });
  const server = createServer((request, response) => void handle(request, response));
  server.on('checkContinue', (request, response) => void handle(request, response));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  t.after(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    await Promise.all([...clients.values()].map((each) => each.close()));
  });
  return {
    world,
    url,
    telemetry,
    seen: <K extends keyof Events>(kind: K) =>
      events.filter((each) => each.kind === kind).map(({ event }) => event as Events[K]),
    ask: (method, path, sent = {}) => ask(url, { method, path, ...sent }),
  };
}

async function ask(
  url: string,
  { method, path, headers = {}, body, as = 'alice' }: Sent & { readonly method: string; readonly path: string },
): Promise<Reply> {
  const target = new URL(path, url);
  const auth = as === '' ? {} : { authorization: `Test ${as}` };
  const length = Buffer.isBuffer(body) ? { 'content-length': body.length } : {};
  const outgoing = httpRequest(target, { method, headers: { ...auth, ...length, ...headers }, agent: false });
  const answered = once(outgoing, 'response');
  // An answer may come before the whole body was sent.
  outgoing.on('error', () => undefined);
  void (async () => {
    try {
      if (Buffer.isBuffer(body)) outgoing.end(body);
      else if (body === undefined) outgoing.end();
      else {
        for await (const chunk of body) {
          if (!outgoing.write(chunk)) await once(outgoing, 'drain');
        }
        outgoing.end();
      }
    } catch (error) {
      outgoing.destroy(error as Error);
    }
  })();
  const [response] = await answered;
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  const bytes = Buffer.concat(chunks);
  const isError = response.statusCode >= 400 && String(response.headers['content-type']).startsWith('application/json');
  const first = isError && bytes.length > 0 ? JSON.parse(bytes.toString()).errors[0] : undefined;
  return {
    status: response.statusCode,
    headers: response.headers,
    body: bytes,
    code: first?.code,
    message: first?.message,
  };
}
