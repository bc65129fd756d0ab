import { readFile } from 'node:fs/promises';
import type { PullThroughOptions } from './cache/index.ts';
import type { Config, RegistryConfig, UpstreamConfig } from './config/index.ts';
import { createHttpClient, type HttpClient, type HttpClientOptions } from './net/index.ts';
import type { TlsSpec } from './oci/index.ts';
import {
  type Catalogue,
  composeCatalogue,
  MAX_REGISTRY_MAP_LENGTH,
  parseRegistryMap,
  type RegistryMap,
  type RegistryOptions,
  type UpstreamOptions,
} from './routing/index.ts';
import type { FrontDoorOptions } from './server/index.ts';

// The configuration in the words of each room: no room knows what the file looks like.

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
export async function catalogueOf(config: Config): Promise<Catalogue> {
  const { registry_map: source } = config;
  return composeRegistries(config, source === undefined ? undefined : await readRegistryMap(source, config));
}

/** As {@link catalogueOf}, from the configuration and what is known alone: asks nobody. @throws {SettingsError} */
export function composeRegistries(config: Config, registryMap?: RegistryMap): Catalogue {
  const registries = Object.entries(config.registries).map(([name, registry]) => [name, registryOf(registry)] as const);
  const { catalogue, problems } = composeCatalogue({
    registries: Object.fromEntries(registries),
    includeKnown: config.known_registries,
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
  const { url, name, credentials, headers, capabilities, tls, redirect_hosts, token_realms } = upstream;
  return {
    url,
    headers,
    capabilities,
    tokenRealms: token_realms,
    ...(name === undefined ? {} : { name }),
    ...(credentials === undefined ? {} : { credentials }),
    ...(tls === undefined ? {} : { tls: tlsOf(tls) }),
    ...(redirect_hosts === undefined ? {} : { redirectHosts: redirect_hosts }),
  };
}

function tlsOf(tls: NonNullable<UpstreamConfig['tls']>): TlsSpec {
  return {
    ...(tls.ca_file === undefined ? {} : { caFile: tls.ca_file }),
    ...(tls.cert_file === undefined ? {} : { certFile: tls.cert_file }),
    ...(tls.key_file === undefined ? {} : { keyFile: tls.key_file }),
    ...(tls.insecure_skip_verify === undefined ? {} : { insecureSkipVerify: tls.insecure_skip_verify }),
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
  const client = await httpClientOf(config, undefined);
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
  }
}

/** A client for one upstream, with its own trust and its own connections. @throws {SettingsError} for a bad PEM file */
export async function httpClientOf(config: Config, tls: TlsSpec | undefined): Promise<HttpClient> {
  const { transport } = config;
  const [common, ca, cert, key] = await Promise.all([
    readPem(transport.ca_file),
    readPem(tls?.caFile),
    readPem(tls?.certFile),
    readPem(tls?.keyFile),
  ]);
  const authorities = [common, ca].filter((pem) => pem !== undefined).join('\n');
  const options: HttpClientOptions = {
    tls: {
      ...(authorities === '' ? {} : { ca: authorities }),
      ...(cert === undefined ? {} : { cert }),
      ...(key === undefined ? {} : { key }),
      insecureSkipVerify: tls?.insecureSkipVerify ?? transport.insecure_skip_verify,
    },
    dialTimeout: transport.dial_timeout,
    tlsHandshakeTimeout: transport.tls_handshake_timeout,
    responseHeaderTimeout: transport.response_header_timeout,
    bodyIdleTimeout: transport.body_idle_timeout,
    idleConnTimeout: transport.idle_conn_timeout,
    maxIdleConnsPerHost: transport.max_idle_conns_per_host,
    maxConnsPerHost: transport.max_conns_per_host,
  };
  return createHttpClient(options);
}

/**
 * Milliseconds an upstream has for a small question as a whole. Whoever allows it longer to connect or to answer allows
 * that too; several exchanges share the time of one.
 */
export function answerTimeoutOf({ transport }: Config): number {
  const whole = transport.dial_timeout + transport.tls_handshake_timeout + transport.response_header_timeout;
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
): Pick<PullThroughOptions, 'keep' | 'tags' | 'onRange' | 'maxSize' | 'manifestMemory'> {
  if (config.cache === 'off') return { keep: false };
  const { tags, on_range, max_size, manifests_in_memory } = config.cache;
  return {
    keep: true,
    tags:
      tags === 'never'
        ? 'never'
        : {
            freshFor: tags.fresh_for,
            rules: tags.rules.map(({ match, fresh_for }) => ({ match, freshFor: fresh_for })),
          },
    onRange: on_range,
    maxSize: max_size,
    manifestMemory: manifests_in_memory,
  };
}

/** Listeners, time limits and bounds of the front door. */
export function frontDoorOptionsOf(config: Config): Omit<FrontDoorOptions, 'handler' | 'onWarning'> {
  const { timeouts, limits } = config;
  return {
    listeners: config.listen.map(({ address, tls, redirect_to_https }) => ({
      address,
      ...(tls === undefined ? {} : { tls: { certFile: tls.cert_file, keyFile: tls.key_file } }),
      redirectToHttps: redirect_to_https,
    })),
    publicUrl: config.public_url,
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
