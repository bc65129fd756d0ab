import { type LookupAddress, type LookupOptions, lookup as systemLookup } from 'node:dns';
import { isIP, type LookupFunction } from 'node:net';
import { networkInterfaces } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { Lru, SingleFlight } from '../../lib/index.ts';
import { createDial, isPublicAddress, plainHost } from '../dial/index.ts';
import { createHttpClient } from '../http/index.ts';
import type { CloseOptions, HttpClientOptions } from '../http-types.ts';
import { lookupError } from './dns-error.ts';
import { type DnsServer, IDLE_TIMEOUT, QUERY_TIMEOUT } from './dns-server.ts';
import { createHttpsServer } from './https-server.ts';
import { type DnsAnswer, type DnsQuestion, isDnsName } from './message.ts';
import { parseDnsServer } from './server-address.ts';
import { ServerList } from './server-list.ts';
import { createTlsServer } from './tls-server.ts';

export interface ResolverOptions
  extends Pick<
    HttpClientOptions,
    'tls' | 'dialTimeout' | 'tlsHandshakeTimeout' | 'firstFragmentLen' | 'allowPlainFallback' | 'telemetry'
  > {
  /** In order of preference: `https://dns.google/dns-query`, `tls://1.1.1.1:853#cloudflare-dns.com`. */
  readonly servers: readonly string[];
  /** Addresses of the servers given by name. @default the system resolves their names */
  readonly bootstrap?: readonly string[];
  /** The resolver for names that no server knows, or can answer. @default 'system' */
  readonly fallback?: 'system' | 'none';
  /** Fixed addresses of names, which are never looked up. */
  readonly hosts?: Readonly<Record<string, readonly string[]>>;
  /** Milliseconds for one query to one server. @default 4_000 */
  readonly queryTimeout?: number;
  /** The system's resolver. @default `dns.lookup` */
  readonly system?: LookupFunction;
  /** Milliseconds since any fixed moment. @default the clock */
  readonly now?: () => number;
}

export interface Resolver {
  /** As `dns.lookup`: supports `all`, `family`, `order`, IP literals and `localhost`. */
  readonly lookup: LookupFunction;
  /** Closes the connections to name servers; with `graceful`, when they are idle, and lookups still work. */
  close(options?: CloseOptions): void;
}

/** Cached answers, by name and type. */
const MAX_ENTRIES = 4096;
/** Milliseconds: with a shorter TTL every pull would send a query; with a longer one a move would be noticed too late. */
const [LEAST_TTL, MOST_TTL] = [5_000, 3_600_000];
const MOST_NEGATIVE_TTL = 10_000;
/** Milliseconds a stale answer may be used while no new one is available (RFC 8767). */
const MOST_STALE = 24 * 3_600_000;
/** Milliseconds to wait for a new answer before a stale one is used (RFC 8767 §5 suggests 1.8 s; here a pull waits). */
const STALE_PATIENCE = 500;
/** Milliseconds the answer of one family waits for the other's (RFC 8305 §3). */
const RESOLUTION_DELAY = 50;

interface Entry {
  readonly addresses: readonly string[];
  readonly freshUntil: number;
}

/**
 * A resolver by encrypted DNS, over HTTPS and over TLS, with a cache that respects the zone's TTLs.
 *
 * It applies no address policy: the dial checks the addresses. Throws TypeError for a server address of another form.
 */
export function createResolver(options: ResolverOptions): Resolver {
  const { fallback = 'system', system = systemLookup, now = Date.now, telemetry } = options;
  const hosts = new Map(Object.entries(options.hosts ?? {}).map(([name, addresses]) => [plainHost(name), addresses]));
  const servers = new ServerList(
    options.servers.map((text) => openServer(text, { options, hosts, system })),
    { now },
  );
  const entries = new Lru<Entry>({ maxWeight: MAX_ENTRIES });
  const flights = new SingleFlight<readonly string[]>();

  async function ask(question: DnsQuestion): Promise<readonly string[]> {
    const key = `${question.type} ${question.name}`;
    const known = entries.get(key);
    const time = now();
    if (known !== undefined && time < known.freshUntil) return known.addresses;
    const asked = flights.run(key, () => refresh(key, question));
    if (known === undefined || known.addresses.length === 0 || time >= known.freshUntil + MOST_STALE)
      return await asked;
    // A stale answer is better than none, and than a long wait; the new one is cached when it arrives.
    const patience = new AbortController();
    try {
      const renewed = asked.catch(() => known.addresses);
      const patient = delay(STALE_PATIENCE, known.addresses, { signal: patience.signal }).catch(() => known.addresses);
      return await Promise.race([renewed, patient]);
    } finally {
      patience.abort();
    }
  }

  async function refresh(key: string, question: DnsQuestion): Promise<readonly string[]> {
    const answer = await servers.ask(question, { isLastResort: fallback === 'none' });
    telemetry?.publish('dns.answered', { host: question.name, by: answer.by, trouble: answer.trouble });
    const keep = lifetimeOf(answer);
    if (keep > 0) entries.set(key, { addresses: answer.addresses, freshUntil: now() + keep });
    else entries.delete(key);
    return answer.addresses;
  }

  async function resolve(name: string, families: readonly (4 | 6)[]): Promise<readonly string[]> {
    const fixed = hosts.get(name);
    if (fixed !== undefined) {
      telemetry?.publish('dns.answered', { host: name, by: 'hosts' });
      return fixed.filter((address) => families.some((family) => isIP(address) === family));
    }
    if (isIP(name) !== 0) return [name];
    // RFC 6761 §6.3: never sent to a server.
    if (name === 'localhost' || name.endsWith('.localhost')) {
      return families.map((family) => (family === 4 ? '127.0.0.1' : '::1'));
    }
    if (!isDnsName(name)) throw lookupError('ENOTFOUND', name);
    return await both(families.map((family) => ask({ name, type: family === 4 ? 'A' : 'AAAA' })));
  }

  async function lookupAll(host: string, lookupOptions: LookupOptions): Promise<LookupAddress[]> {
    const name = plainHost(host);
    const family = familyOf(lookupOptions);
    let failure: unknown;
    try {
      const found = await resolve(name, family === 0 ? [4, 6] : [family]);
      if (found.length > 0) return sorted(found, lookupOptions.order);
    } catch (error) {
      failure = error;
    }
    if (fallback === 'system' && !hosts.has(name)) {
      const trouble = failure instanceof Error ? failure.message : undefined;
      telemetry?.publish('dns.answered', { host: name, by: 'system', trouble });
      return await lookupBy(system, { host: name, family });
    }
    throw lookupError(failure === undefined ? 'ENOTFOUND' : 'EAI_AGAIN', name, failure);
  }

  async function answer(host: string, call: Call): Promise<void> {
    let found: LookupAddress[];
    try {
      found = await lookupAll(host, call.lookupOptions);
    } catch (error) {
      return call.callback(error as NodeJS.ErrnoException, []);
    }
    answerWith(found, call);
  }

  return {
    lookup: (host, lookupOptions, callback) => void answer(host, { lookupOptions, callback }),
    close: (options) => servers.close(options),
  };
}

interface Surroundings {
  readonly options: ResolverOptions;
  readonly hosts: ReadonlyMap<string, readonly string[]>;
  readonly system: LookupFunction;
}

function openServer(text: string, { options, hosts, system }: Surroundings): DnsServer {
  const address = parseDnsServer(text);
  if (address === undefined) {
    throw new TypeError(`A name server is https://… or tls://host[:port][#name], found ${JSON.stringify(text)}`);
  }
  const { bootstrap = [], queryTimeout = QUERY_TIMEOUT } = options;
  // The name of a name server is never looked up at a name server.
  const lookup: LookupFunction = (host, lookupOptions, callback) => {
    const fixed = hosts.get(plainHost(host)) ?? bootstrap;
    if (fixed.length === 0) return system(host, lookupOptions, callback);
    const found = fixed.map((each) => ({ address: each, family: isIP(each) }));
    answerWith(found, { lookupOptions, callback });
  };
  const transport: HttpClientOptions = { ...options, lookup };
  if (address.kind === 'tls') return createTlsServer(address, { dial: createDial(transport), queryTimeout });
  const http = createHttpClient({ ...transport, idleConnTimeout: IDLE_TIMEOUT });
  return createHttpsServer(address.url, { http, queryTimeout });
}

interface Call {
  readonly lookupOptions: LookupOptions;
  readonly callback: Parameters<LookupFunction>[2];
}

/** Calls back in the form of `dns.lookup`: all addresses, or the first. */
function answerWith(found: LookupAddress[], { lookupOptions, callback }: Call): void {
  if (lookupOptions.all === true) callback(null, found);
  else callback(null, found[0]?.address ?? '', found[0]?.family);
}

/** Milliseconds an answer is cached. */
function lifetimeOf({ outcome, ttl }: DnsAnswer): number {
  const milliseconds = ttl * 1000;
  if (outcome === 'found') return Math.min(Math.max(milliseconds, LEAST_TTL), MOST_TTL);
  return Math.min(milliseconds, MOST_NEGATIVE_TTL);
}

/**
 * The addresses of both families. The first family with an address waits only a moment for the other; a late answer is cached
 * for the next lookup. Rejects where the query of one family failed and the other has no address.
 */
async function both(asked: readonly Promise<readonly string[]>[]): Promise<readonly string[]> {
  const found: string[] = [];
  const settled = Promise.allSettled(asked.map(async (each) => found.push(...(await each))));
  const some = Promise.any(asked.map(async (each) => (await each).length > 0 || Promise.reject(new Error('none'))));
  const patience = new AbortController();
  try {
    const waited = some.then(() => delay(RESOLUTION_DELAY, undefined, { signal: patience.signal }));
    await Promise.race([settled, waited.catch(() => settled)]);
  } finally {
    patience.abort();
  }
  if (found.length > 0) return [...found];
  await Promise.all(asked);
  return [];
}

/** The address family in the forms of `dns.lookup`; 0: both. */
function familyOf({ family }: LookupOptions): 0 | 4 | 6 {
  if (family === 4 || family === 'IPv4') return 4;
  return family === 6 || family === 'IPv6' ? 6 : 0;
}

/** IPv6 first where this machine has it (RFC 8305 §4); the connecting socket alternates between families. */
function sorted(addresses: readonly string[], order: LookupOptions['order']): LookupAddress[] {
  const first = order === 'ipv6first' || (order !== 'ipv4first' && hasGlobalV6()) ? 6 : 4;
  return addresses
    .map((address) => ({ address, family: isIP(address) }))
    .toSorted((a, b) => Number(b.family === first) - Number(a.family === first));
}

function hasGlobalV6(): boolean {
  return Object.values(networkInterfaces()).some((addresses) =>
    addresses?.some(({ address, family, internal }) => family === 'IPv6' && !internal && isPublicAddress(address)),
  );
}

function lookupBy(
  lookup: LookupFunction,
  { host, family }: { readonly host: string; readonly family: 0 | 4 | 6 },
): Promise<LookupAddress[]> {
  return new Promise((resolve, reject) => {
    lookup(host, { all: true, family }, (error, found) => {
      if (error !== null) reject(error);
      else resolve(Array.isArray(found) ? found : [{ address: found, family: isIP(found) }]);
    });
  });
}
