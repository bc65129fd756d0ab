import { hostname } from 'node:os';
import { join } from 'node:path';
import type { ForwardHelp } from '../../clients/index.ts';
import type { Config } from '../../config/index.ts';
import type { Authority, AuthorityFiles, ForwardOptions } from '../../forward/index.ts';
import type { TransportSpec } from '../../oci/index.ts';
import { type Catalogue, registryByOwnHost } from '../../routing/index.ts';
import type { Forward } from '../../server/index.ts';
import type { Log } from '../../telemetry/index.ts';
import type { ClientPool } from './client-pool.ts';
import { SettingsError } from './error.ts';
import { loadForward, loadNet, loadUpstream } from './lazy.ts';

/** What the forward proxy shares with the rest of the server. */
interface ForwardParts
  extends Pick<
    ForwardOptions,
    'guard' | 'dispatch' | 'ownPorts' | 'openTunnels' | 'admission' | 'telemetry' | 'pseudonym'
  > {
  readonly catalogue: Catalogue;
  readonly clients: ClientPool;
  readonly transport: TransportSpec;
  readonly authority: Authority | undefined;
}

/** The forward proxy of a configuration; undefined where it is off. @throws {SettingsError} */
export async function forwardOf(config: Config, parts: ForwardParts): Promise<Forward | undefined> {
  const { enabled, allowedHosts, presets, ports, allowPrivate, anonymous, maxTunnels, idleTimeout } =
    config.forwardProxy;
  if (!enabled) return undefined;
  const { catalogue, clients, transport, authority, ...common } = parts;
  const { responseHeaderTimeout, bodyIdleTimeout } = transport;
  const [{ compileAllowedHosts, createForward, createInterceptor, DEFAULT_PRESETS, hostsOfPresets }, { createDial }] =
    await Promise.all([loadForward(), loadNet()]);
  // Presets are the default; a list of hosts replaces them.
  const usual = allowedHosts === undefined ? DEFAULT_PRESETS : [];
  return createForward({
    ...common,
    isAllowed: compileAllowedHosts([...(allowedHosts ?? []), ...hostsOfPresets(presets ?? usual)]),
    ports,
    allowPrivate,
    credential: credentialOf(config),
    anonymous,
    maxTunnels,
    idleTimeout,
    responseHeaderTimeout,
    bodyIdleTimeout,
    dial: createDial(await clients.optionsFor(transport)),
    isRegistry: ({ host, port }) => registryByOwnHost(catalogue, `${host}:${port}`) !== undefined,
    interceptor: authority === undefined ? undefined : createInterceptor({ authority, telemetry: common.telemetry }),
  });
}

function credentialOf({ forwardProxy: { user, password } }: Config): ForwardOptions['credential'] {
  if (user === undefined || password === undefined) return undefined;
  // Read for each request, so that a rotated secret takes effect at once.
  return async () => {
    const { readSecret } = await loadUpstream();
    return { user, password: await readSecret(password) };
  };
}

/** What the help page says of the forward proxy; undefined where it is off. */
export function forwardHelpOf({ forwardProxy }: Config): ForwardHelp | undefined {
  const { enabled, listen, user, mitm } = forwardProxy;
  if (!enabled) return undefined;
  // The page names one address: the first that has a port.
  const [own] = listen.flatMap(({ address, tls }) =>
    'port' in address ? [{ port: address.port, secure: tls !== undefined }] : [],
  );
  return { ...own, credential: user !== undefined, mitm: mitm.enabled };
}

/** Where the certificate authority is, or would be created. @throws {SettingsError} where the cache is off and none is named */
export function authorityPlaceOf({ cache, forwardProxy: { mitm } }: Config): AuthorityFiles | { readonly dir: string } {
  const { caCertFile: certFile, caKeyFile: keyFile } = mitm;
  if (certFile !== undefined && keyFile !== undefined) return { certFile, keyFile };
  if (cache !== 'off') return { dir: join(cache.dir, 'ca') };
  throw new SettingsError(['forward_proxy.mitm: found no ca_cert_file, expected one: the cache is off']);
}

/**
 * The certificate authority that signs for intercepted hosts; created in the cache directory on first use where none is
 * named, undefined where `mitm` is off. @throws {SettingsError}
 */
export async function authorityOf(config: Config, log: Log): Promise<Authority | undefined> {
  const { enabled, mitm } = config.forwardProxy;
  if (!enabled || !mitm.enabled) return undefined;
  const place = authorityPlaceOf(config);
  const { AuthorityError, findOrWriteAuthority, readAuthority } = await loadForward();
  try {
    if (!('dir' in place)) return await readAuthority(place);
    const { authority, made, certFile } = await findOrWriteAuthority(place.dir, { host: hostname() });
    if (made) {
      const { fingerprint } = authority;
      log.info('a certificate authority was made: clients must trust it, see /help', { certFile, fingerprint });
    }
    return authority;
  } catch (error) {
    if (error instanceof AuthorityError) throw new SettingsError([`forward_proxy.mitm: ${error.message}`]);
    throw error;
  }
}
