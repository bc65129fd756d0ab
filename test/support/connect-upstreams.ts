import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { ByteSource } from '../../src/lib/index.ts';
import { createHttpClient, type HttpClient } from '../../src/net/index.ts';
import type { ConfiguredUpstream, Origin, RegistrySpec, TransportSpec } from '../../src/oci/index.ts';
import {
  Telemetry,
  type UpstreamHealthChange,
  type UpstreamQuota,
  type UpstreamRequestEnded,
} from '../../src/telemetry/index.ts';
import { createUpstreams, type UpstreamContext, type Upstreams } from '../../src/upstream/index.ts';
import { upstreamSpec } from './transport-spec.ts';

/** Upstreams of one registry, and the events they published. */
export interface ConnectedUpstreams extends Origin, AsyncDisposable {
  healthOf(): ReturnType<Upstreams['healthOf']>;
  routeOf(question: Parameters<Upstreams['routeOf']>[1]): ReturnType<Upstreams['routeOf']>;
  readonly events: UpstreamRequestEnded[];
  /** `hot → cold`. */
  readonly failovers: string[];
  readonly health: UpstreamHealthChange[];
  readonly quotas: UpstreamQuota[];
  readonly telemetry: Telemetry;
}

type UpstreamGiven = Partial<ConfiguredUpstream> & { readonly url: string };

/** Connects to the upstreams of the registry `docker.io`, over real connections that end with the scope. */
export function connectUpstreams(...upstreams: UpstreamGiven[]): ConnectedUpstreams {
  return connectUpstreamsWith({}, ...upstreams);
}

/** As {@link connectUpstreams}, with a clock, chance or limits of the test's own. */
export function connectUpstreamsWith(
  {
    answerTimeout,
    strategy,
    ...options
  }: Partial<Pick<UpstreamContext, 'now' | 'random'>> & {
    readonly answerTimeout?: number;
    readonly strategy?: RegistrySpec['strategy'];
  },
  ...upstreams: UpstreamGiven[]
): ConnectedUpstreams {
  const timeouts: Partial<TransportSpec> =
    answerTimeout === undefined ? {} : { dialTimeout: answerTimeout, tlsHandshakeTimeout: 0, responseHeaderTimeout: 0 };
  const registry: RegistrySpec = {
    name: 'docker.io',
    hosts: [],
    aliases: [],
    pathNames: [],
    library: true,
    delivery: 'stream',
    upstreams: upstreams.map((each) => upstreamSpec(each, timeouts)),
    strategy,
  };
  const telemetry = new Telemetry();
  const events: UpstreamRequestEnded[] = [];
  const failovers: string[] = [];
  const health: UpstreamHealthChange[] = [];
  const quotas: UpstreamQuota[] = [];
  telemetry.on('upstream.health', (event) => health.push(event));
  telemetry.on('upstream.quota', (event) => quotas.push(event));
  telemetry.on('upstream.request', (event) => events.push(event));
  telemetry.on('upstream.failover', (event) => failovers.push(`${event.from} → ${event.to}`));
  const clients = new Map<TransportSpec, HttpClient>();
  const made = createUpstreams({
    httpClientFor(transport) {
      const client = clients.get(transport) ?? createHttpClient({});
      clients.set(transport, client);
      return client;
    },
    telemetry,
    now: Date.now,
    ...options,
  });
  return Object.assign(made.originOf(registry), {
    healthOf: () => made.healthOf(registry),
    routeOf: (question: Parameters<Upstreams['routeOf']>[1]) => made.routeOf(registry, question),
    events,
    failovers,
    health,
    quotas,
    telemetry,
    async [Symbol.asyncDispose]() {
      await Promise.all([...clients.values()].map((each) => each.close()));
    },
  });
}

/** A server for answers no registry should give; it ends with the scope. */
export async function serve(listener: RequestListener): Promise<AsyncDisposable & { readonly url: string }> {
  const server = createServer(listener);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}

/** All there is to read, copied. */
export async function readAll(body: ByteSource): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for (;;) {
    const chunk = await body.read();
    if (chunk === undefined) return Buffer.concat(chunks);
    chunks.push(Buffer.from(chunk));
  }
}
