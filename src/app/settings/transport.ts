import { readFile } from 'node:fs/promises';
import type { Config } from '../../config/index.ts';
import type { HttpClient, HttpClientOptions, Resolver } from '../../net/index.ts';
import type { TlsSpec, TransportSpec } from '../../oci/index.ts';
import type { Telemetry } from '../../telemetry/index.ts';
import { SettingsError } from './error.ts';
import { loadNet } from './lazy.ts';

/** What all HTTP clients share besides the configuration. */
export type SharedTransport = Pick<HttpClientOptions, 'resolver' | 'telemetry'>;

/**
 * The resolver of all clients; undefined where the system resolver is used.
 *
 * @throws {SettingsError} for a bad PEM file
 */
export async function resolverOf({ transport }: Config, telemetry?: Telemetry): Promise<Resolver | undefined> {
  const { dns, dialTimeout, tlsHandshakeTimeout, firstFragmentLen, allowPlainFallback } = transport;
  if (dns.servers.length === 0 && Object.keys(dns.hosts).length === 0) return undefined;
  const ca = await readPem(transport.caFile);
  const { createResolver } = await loadNet();
  return createResolver({
    ...dns,
    ...(ca === undefined ? {} : { tls: { ca } }),
    ...(telemetry === undefined ? {} : { telemetry }),
    dialTimeout,
    tlsHandshakeTimeout,
    firstFragmentLen,
    allowPlainFallback,
  });
}

interface ClientSettings {
  readonly tls?: TlsSpec | undefined;
  readonly own?: TransportSpec | undefined;
  readonly shared?: SharedTransport;
}

/** An HTTP client with connections of its own. @throws {SettingsError} for a bad PEM file */
export async function httpClientOf(config: Config, settings: ClientSettings): Promise<HttpClient> {
  const { createHttpClient } = await loadNet();
  return createHttpClient(await clientOptionsOf(config, settings));
}

/** The `transport` section, merged with the settings of one upstream. @throws {SettingsError} for a bad PEM file */
export async function clientOptionsOf(
  { transport }: Config,
  { tls, own = {}, shared = {} }: ClientSettings,
): Promise<HttpClientOptions> {
  const [common, ca, cert, key] = await Promise.all([
    readPem(transport.caFile),
    readPem(tls?.caFile),
    readPem(tls?.certFile),
    readPem(tls?.keyFile),
  ]);
  const authorities = [common, ca].filter((pem) => pem !== undefined).join('\n');
  const { outboundProxy, ...options } = { ...transport, ...own };
  return {
    ...options,
    ...shared,
    tls: {
      ...(authorities === '' ? {} : { ca: authorities }),
      ...(cert === undefined ? {} : { cert }),
      ...(key === undefined ? {} : { key }),
      insecureSkipVerify: tls?.insecureSkipVerify ?? transport.insecureSkipVerify,
    },
    ...(await outboundProxyOf(outboundProxy)),
  };
}

async function outboundProxyOf(setting: string): Promise<Pick<HttpClientOptions, 'outboundProxy'>> {
  if (setting === 'none') return {};
  if (setting !== 'environment') return { outboundProxy: new URL(setting) };
  const { outboundProxyFor } = await loadNet();
  return { outboundProxy: (origin) => outboundProxyFor(origin, process.env) };
}

/**
 * Milliseconds for a small request as a whole, its token and redirects included: the time to connect, to shake hands and to
 * respond once, each with the longest limit that any registry has.
 */
export function answerTimeoutOf({ transport, registries }: Config): number {
  const own = Object.values(registries).flatMap(({ upstreams = [] }) => upstreams.map((each) => each.transport ?? {}));
  const most = (option: 'dialTimeout' | 'tlsHandshakeTimeout' | 'responseHeaderTimeout'): number =>
    Math.max(transport[option], ...own.map((each) => each[option] ?? 0));
  const whole = most('dialTimeout') + most('tlsHandshakeTimeout') + most('responseHeaderTimeout');
  // The longest delay of a timer.
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
