import { hostname } from 'node:os';
import { join } from 'node:path';
import type { ForwardHelp } from '../../clients/index.ts';
import type { Config } from '../../config/index.ts';
import type { Authority, AuthorityFiles, ForwardOptions } from '../../forward/index.ts';
import { type Catalogue, registryByOwnHost } from '../../routing/index.ts';
import type { Forward } from '../../server/index.ts';
import type { Log, Telemetry } from '../../telemetry/index.ts';
import { SettingsError } from './error.ts';
import { loadForward, loadNet, loadUpstream } from './lazy.ts';
import { clientOptionsOf, type SharedTransport } from './transport.ts';

/** What the forward proxy needs of the rest of the server. */
export interface ForwardParts extends Pick<ForwardOptions, 'dispatch' | 'ownPorts' | 'openTunnels' | 'admission'> {
  readonly catalogue: Catalogue;
  readonly telemetry: Telemetry;
  readonly shared: SharedTransport;
  readonly authority: Authority | undefined;
}

/** The forward proxy of a configuration; undefined where it is off. @throws {SettingsError} */
export async function forwardOf(config: Config, parts: ForwardParts): Promise<Forward | undefined> {
  const { forward_proxy: settings, transport } = config;
  if (!settings.enabled) return undefined;
  const { catalogue, telemetry, shared, authority, dispatch, admission, ownPorts, openTunnels } = parts;
  const [{ compileAllowedHosts, createForward, createInterceptor, DEFAULT_PRESETS, hostsOfPresets }, { createDial }] =
    await Promise.all([loadForward(), loadNet()]);
  const { allowed_hosts: hosts, presets } = settings;
  // Presets are the default; a list of hosts stands for itself.
  const usual = hosts === undefined ? DEFAULT_PRESETS : [];
  return createForward({
    isAllowed: compileAllowedHosts([...(hosts ?? []), ...hostsOfPresets(presets ?? usual)]),
    ports: settings.ports,
    allowPrivate: settings.allow_private,
    credential: credentialOf(config),
    anonymous: settings.anonymous,
    maxTunnels: settings.max_tunnels,
    idleTimeout: settings.idle_timeout,
    responseHeaderTimeout: transport.response_header_timeout,
    bodyIdleTimeout: transport.body_idle_timeout,
    dial: createDial(await clientOptionsOf(config, { shared })),
    telemetry,
    isRegistry: ({ host, port }) => registryByOwnHost(catalogue, `${host}:${port}`) !== undefined,
    dispatch,
    admission,
    ownPorts,
    openTunnels,
    interceptor: authority === undefined ? undefined : createInterceptor({ authority, telemetry }),
  });
}

function credentialOf({ forward_proxy: { user, password } }: Config): ForwardOptions['credential'] {
  if (user === undefined || password === undefined) return undefined;
  // Read each time, so that a changed one takes effect at once.
  return async () => {
    const { readSecret } = await loadUpstream();
    return { user, password: await readSecret(password) };
  };
}

/** What /help has to say of it; undefined where it is off. */
export function forwardHelpOf({ forward_proxy }: Config): ForwardHelp | undefined {
  const { enabled, listen, user, mitm } = forward_proxy;
  if (!enabled) return undefined;
  // The page names one place: the first that has a port.
  const [own] = (listen ?? []).flatMap(({ address, tls }) =>
    'port' in address ? [{ port: address.port, secure: tls !== undefined }] : [],
  );
  return { ...own, credential: user !== undefined, mitm: mitm.enabled };
}

/** Where the authority of a configuration lies, or would be made. @throws {SettingsError} where there is no such place */
export function authorityPlaceOf({
  cache,
  forward_proxy: { mitm },
}: Config): AuthorityFiles | { readonly dir: string } {
  const { ca_cert_file: certFile, ca_key_file: keyFile } = mitm;
  if (certFile !== undefined && keyFile !== undefined) return { certFile, keyFile };
  if (cache !== 'off') return { dir: join(cache.dir, 'ca') };
  throw new SettingsError(['forward_proxy.mitm: found no ca_cert_file, expected one where the cache is off']);
}

/**
 * The authority that signs for hosts whose tunnels are looked into, made where none is named and none is there yet;
 * undefined where tunnels are left alone. @throws {SettingsError}
 */
export async function authorityOf(config: Config, log: Log): Promise<Authority | undefined> {
  const { enabled, mitm } = config.forward_proxy;
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
