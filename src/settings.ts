import { readFile } from 'node:fs/promises';
import type { PullThroughOptions } from './cache/index.ts';
import type { Config, Listener, RegistryConfig, UpstreamConfig } from './config/index.ts';
import { loadNet } from './late-parts.ts';
import type { HttpClient, HttpClientOptions, Resolver } from './net/index.ts';
import type { TlsSpec, TransportSpec } from './oci/index.ts';
import {
  type Catalogue,
  composeCatalogue,
  type InternUpstream,
  MAX_REGISTRY_MAP_LENGTH,
  parseRegistryMap,
  type RegistryMap,
  type RegistryOptions,
  type UpstreamOptions,
} from './routing/index.ts';
import {
  type AdmissionLimits,
  compileTrustedProxies,
  type FrontDoorOptions,
  type ListenerSpec,
} from './server/index.ts';
import { freeSpace } from './store/index.ts';
import type { LogFormat, Telemetry } from './telemetry/index.ts';

// The configuration in the words of each room: no room knows what the file looks like. What only a question to another server
// needs is imported when there is one: a start costs less, and what is cached is served meanwhile.

/** Something in the configuration that only shows when it is put to use, each problem a line. */
export class SettingsError extends Error {
  override readonly name = 'SettingsError';
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(problems.join('\n'));
    this.problems = problems;
  }
}

/** The registries that can be named, with the operator's map of them where there is one. @throws {SettingsError} */
export async function catalogueOf(
  config: Config,
  { intern }: { readonly intern?: InternUpstream } = {},
): Promise<Catalogue> {
  const { registry_map: source } = config;
  return compose(config, {
    registryMap: source === undefined ? undefined : await readRegistryMap(source, config),
    intern,
  });
}

/** As {@link catalogueOf}, from the configuration and what is known alone: asks nobody. @throws {SettingsError} */
export function composeRegistries(config: Config, registryMap?: RegistryMap): Catalogue {
  return compose(config, { registryMap });
}

function compose(
  config: Config,
  {
    registryMap,
    intern,
  }: { readonly registryMap?: RegistryMap | undefined; readonly intern?: InternUpstream | undefined },
): Catalogue {
  const registries = Object.entries(config.registries).map(([name, registry]) => [name, registryOf(registry)] as const);
  const { catalogue, problems } = composeCatalogue({
    registries: Object.fromEntries(registries),
    includeKnown: config.known_registries,
    intern,
    ...(registryMap === undefined ? {} : { registryMap }),
    ...(config.default_registry === undefined ? {} : { defaultRegistry: config.default_registry }),
    ...(config.domain_suffix === undefined ? {} : { domainSuffix: config.domain_suffix }),
    ...(config.allow_any === false ? {} : { allowAny: config.allow_any }),
  });
  if (catalogue === undefined) throw new SettingsError(problems);
  return catalogue;
}

function registryOf({ aliases, upstreams, delivery, library }: RegistryConfig): RegistryOptions {
  return {
    aliases,
    delivery,
    ...(upstreams === undefined ? {} : { upstreams: upstreams.map(upstreamOf) }),
    ...(library === undefined ? {} : { library }),
  };
}

function upstreamOf(upstream: UpstreamConfig): UpstreamOptions {
  const { url, name, credentials, headers, capabilities, tls, transport, redirect_hosts, token_realms } = upstream;
  return {
    url,
    headers,
    capabilities,
    tokenRealms: token_realms,
    ...(name === undefined ? {} : { name }),
    ...(credentials === undefined ? {} : { credentials }),
    ...(tls === undefined ? {} : { tls: tlsOf(tls) }),
    ...(transport === undefined ? {} : { transport: transportOf(transport) }),
    ...(redirect_hosts === undefined ? {} : { redirectHosts: redirect_hosts }),
  };
}

/** TLS towards somebody, in the words of who speaks it. */
export function tlsOf(tls: NonNullable<UpstreamConfig['tls']>): TlsSpec {
  return {
    ...(tls.ca_file === undefined ? {} : { caFile: tls.ca_file }),
    ...(tls.cert_file === undefined ? {} : { certFile: tls.cert_file }),
    ...(tls.key_file === undefined ? {} : { keyFile: tls.key_file }),
    ...(tls.insecure_skip_verify === undefined ? {} : { insecureSkipVerify: tls.insecure_skip_verify }),
  };
}

/** The way to somebody, where it differs from everybody else's. */
export function transportOf(own: NonNullable<UpstreamConfig['transport']>): TransportSpec {
  const { first_fragment_len, allow_plain_fallback, outbound_proxy } = own;
  const { dial_timeout, tls_handshake_timeout, response_header_timeout, body_idle_timeout } = own;
  return {
    ...(first_fragment_len === undefined ? {} : { firstFragmentLen: first_fragment_len }),
    ...(allow_plain_fallback === undefined ? {} : { allowPlainFallback: allow_plain_fallback }),
    ...(outbound_proxy === undefined ? {} : { outboundProxy: outbound_proxy }),
    ...(dial_timeout === undefined ? {} : { dialTimeout: dial_timeout }),
    ...(tls_handshake_timeout === undefined ? {} : { tlsHandshakeTimeout: tls_handshake_timeout }),
    ...(response_header_timeout === undefined ? {} : { responseHeaderTimeout: response_header_timeout }),
    ...(body_idle_timeout === undefined ? {} : { bodyIdleTimeout: body_idle_timeout }),
  };
}

async function readRegistryMap(source: string, config: Config): Promise<RegistryMap> {
  const text = /^https?:\/\//i.test(source) ? await downloadMap(source, config) : await readMapFile(source);
  const { map, problems } = parseRegistryMap(text);
  if (map === undefined) throw new SettingsError(problems);
  return map;
}

async function readMapFile(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw new SettingsError([`registry_map: cannot read ${path}: ${(error as Error).message}`]);
  }
}

async function downloadMap(source: string, config: Config): Promise<string> {
  const resolver = await resolverOf(config);
  const client = await httpClientOf(config, { shared: resolver === undefined ? {} : { resolver } });
  const url = new URL(source);
  try {
    const { status, body } = await client.fetch({
      method: 'GET',
      url,
      headers: {},
      addresses: { kind: 'any' },
      maxBytes: MAX_REGISTRY_MAP_LENGTH,
    });
    if (status !== 200) throw new Error(`the answer was ${status}`);
    return body.toString('utf8');
  } catch (error) {
    throw new SettingsError([`registry_map: cannot get ${url.origin}${url.pathname}: ${(error as Error).message}`]);
  } finally {
    await client.close();
    resolver?.close();
  }
}

/** What all clients have in common besides the configuration. */
export type SharedTransport = Pick<HttpClientOptions, 'resolver' | 'telemetry'>;

/**
 * Where names of upstreams are looked up, for all clients together; undefined where that is the system's own affair.
 *
 * @throws {SettingsError} for a bad PEM file
 */
export async function resolverOf({ transport }: Config, telemetry?: Telemetry): Promise<Resolver | undefined> {
  const { servers, bootstrap, fallback, hosts } = transport.dns;
  if (servers.length === 0 && Object.keys(hosts).length === 0) return undefined;
  const ca = await readPem(transport.ca_file);
  const { createResolver } = await loadNet();
  return createResolver({
    servers,
    bootstrap,
    fallback,
    hosts,
    ...(ca === undefined ? {} : { tls: { ca } }),
    ...(telemetry === undefined ? {} : { telemetry }),
    dialTimeout: transport.dial_timeout,
    tlsHandshakeTimeout: transport.tls_handshake_timeout,
    firstFragmentLen: transport.first_fragment_len,
    allowPlainFallback: transport.allow_plain_fallback,
  });
}

interface ClientSettings {
  readonly tls?: TlsSpec | undefined;
  readonly own?: TransportSpec | undefined;
  readonly shared?: SharedTransport;
}

/** A client for one upstream, with its own trust and its own connections. @throws {SettingsError} for a bad PEM file */
export async function httpClientOf(config: Config, settings: ClientSettings): Promise<HttpClient> {
  const { createHttpClient } = await loadNet();
  return createHttpClient(await clientOptionsOf(config, settings));
}

/** How other servers are reached, for a client or for a dial alone. @throws {SettingsError} for a bad PEM file */
export async function clientOptionsOf(
  { transport }: Config,
  { tls, own = {}, shared = {} }: ClientSettings,
): Promise<HttpClientOptions> {
  const [common, ca, cert, key] = await Promise.all([
    readPem(transport.ca_file),
    readPem(tls?.caFile),
    readPem(tls?.certFile),
    readPem(tls?.keyFile),
  ]);
  const authorities = [common, ca].filter((pem) => pem !== undefined).join('\n');
  return {
    tls: {
      ...(authorities === '' ? {} : { ca: authorities }),
      ...(cert === undefined ? {} : { cert }),
      ...(key === undefined ? {} : { key }),
      insecureSkipVerify: tls?.insecureSkipVerify ?? transport.insecure_skip_verify,
    },
    ...shared,
    dialTimeout: own.dialTimeout ?? transport.dial_timeout,
    tlsHandshakeTimeout: own.tlsHandshakeTimeout ?? transport.tls_handshake_timeout,
    responseHeaderTimeout: own.responseHeaderTimeout ?? transport.response_header_timeout,
    bodyIdleTimeout: own.bodyIdleTimeout ?? transport.body_idle_timeout,
    firstFragmentLen: own.firstFragmentLen ?? transport.first_fragment_len,
    allowPlainFallback: own.allowPlainFallback ?? transport.allow_plain_fallback,
    ...(await outboundProxyOf(own.outboundProxy ?? transport.outbound_proxy)),
    keepalive: transport.keepalive,
    maxIdleConns: transport.max_idle_conns,
    idleConnTimeout: transport.idle_conn_timeout,
    maxIdleConnsPerHost: transport.max_idle_conns_per_host,
    maxConnsPerHost: transport.max_conns_per_host,
  };
}

async function outboundProxyOf(setting: string): Promise<Pick<HttpClientOptions, 'outboundProxy'>> {
  if (setting === 'none') return {};
  if (setting !== 'environment') return { outboundProxy: new URL(setting) };
  const { outboundProxyFor } = await loadNet();
  return { outboundProxy: (origin) => outboundProxyFor(origin, process.env) };
}

/**
 * Milliseconds an upstream has for a small question as a whole. Whoever allows it longer to connect or to answer allows
 * that too; several exchanges share the time of one.
 */
export function answerTimeoutOf({ transport, registries }: Config): number {
  const own = Object.values(registries).flatMap(({ upstreams = [] }) => upstreams.map((each) => each.transport ?? {}));
  const most = (option: 'dial_timeout' | 'tls_handshake_timeout' | 'response_header_timeout'): number =>
    Math.max(transport[option], ...own.map((each) => each[option] ?? 0));
  const whole = most('dial_timeout') + most('tls_handshake_timeout') + most('response_header_timeout');
  // The longest a timer can be set to.
  return Math.min(whole, 2 ** 31 - 1);
}

async function readPem(path: string | undefined): Promise<string | undefined> {
  if (path === undefined) return undefined;
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw new SettingsError([`Cannot read ${path}: ${(error as Error).message}`]);
  }
}

/** What the cache is told besides where to find things. */
export function cacheOptionsOf(
  config: Config,
): Omit<PullThroughOptions, 'origin' | 'store' | 'names' | 'telemetry' | 'now'> {
  if (config.cache === 'off') return { keep: false };
  const { dir, tags, on_range, max_size, min_free, pin, platforms, not_found_for, verify_after, manifests_in_memory } =
    config.cache;
  return {
    keep: true,
    tags:
      tags === 'never'
        ? 'never'
        : {
            freshFor: tags.fresh_for,
            rules: tags.rules.map(({ match, fresh_for }) => ({ match, freshFor: fresh_for })),
            staleAfter: tags.stale_after,
            staleOnNotFound: tags.stale_on_not_found,
          },
    onRange: on_range,
    maxSize: max_size,
    minFree: min_free,
    disk: () => freeSpace(dir),
    pin,
    platforms,
    notFoundFor: not_found_for,
    verifyAfter: verify_after,
    manifestMemory: manifests_in_memory,
  };
}

/** How lines are written: for people on a terminal, for programs elsewhere. */
export function logFormatOf({ log: { format } }: Config): LogFormat {
  if (format !== 'auto') return format;
  return process.stdout.isTTY ? 'console' : 'json';
}

/** How many are served at once, and how often. */
export function admissionLimitsOf({ limits }: Config): AdmissionLimits {
  const { per_client } = limits;
  return {
    maxInflight: limits.max_inflight,
    maxInflightWait: limits.max_inflight_wait,
    maxWaiting: limits.max_waiting,
    overloadStatus: limits.overload_status,
    retryAfter: limits.retry_after,
    perClient: {
      maxInflight: per_client.max_inflight,
      requestsPerSecond: per_client.requests_per_second,
      ...(per_client.burst === undefined ? {} : { burst: per_client.burst }),
      ...(per_client.max_bandwidth === undefined ? {} : { maxBandwidth: per_client.max_bandwidth }),
    },
  };
}

function listenerOf({ address, tls }: Pick<Listener, 'address' | 'tls'>): Pick<ListenerSpec, 'address' | 'tls'> {
  return { address, ...(tls === undefined ? {} : { tls: { certFile: tls.cert_file, keyFile: tls.key_file } }) };
}

/** Listeners, time limits and bounds of the front door. */
export function frontDoorOptionsOf(config: Config): Omit<FrontDoorOptions, 'handler' | 'onWarning'> {
  const { timeouts, limits } = config;
  const { enabled, listen: own = [] } = config.forward_proxy;
  return {
    listeners: [
      ...config.listen.map((listener) => ({
        ...listenerOf(listener),
        redirectToHttps: listener.redirect_to_https,
        forward: enabled && own.length === 0 && !listener.redirect_to_https,
      })),
      ...(enabled ? own : []).map((listener) => ({ ...listenerOf(listener), forward: true })),
    ],
    publicUrl: config.public_url,
    ...(config.trusted_proxies.length === 0 ? {} : { trustedProxies: compileTrustedProxies(config.trusted_proxies) }),
    timeouts: {
      readHeader: timeouts.read_header_timeout,
      read: timeouts.read_timeout,
      write: timeouts.write_timeout,
      idle: timeouts.idle_timeout,
      clientStall: timeouts.client_stall_timeout,
    },
    limits: { maxHeaderBytes: timeouts.max_header_bytes, maxConnections: limits.max_connections },
  };
}
