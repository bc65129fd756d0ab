import { readFile } from 'node:fs/promises';
import type { Config, UpstreamConfig } from '../../config/index.ts';
import type { HttpClient, HttpClientOptions, Resolver } from '../../net/index.ts';
import type { TlsSpec, TransportSpec } from '../../oci/index.ts';
import type { Telemetry } from '../../telemetry/index.ts';
import { SettingsError } from './error.ts';
import { loadNet } from './lazy.ts';

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
