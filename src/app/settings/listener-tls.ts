import { join } from 'node:path';
import type { AcmeSpec } from '../../acme/index.ts';
import type { Config } from '../../config/index.ts';
import type { TlsFiles } from '../../server/index.ts';
import { SettingsError } from './error.ts';

/** The `tls` of a listener: two files, or `acme`. */
export type ListenerTls = NonNullable<Config['listen'][number]['tls']>;

/** The files of a listener's certificate. @throws {SettingsError} for a section that the checks of a configuration refuse */
export function listenerFilesOf(config: Config, tls: ListenerTls): TlsFiles {
  const { certFile, keyFile } = tls;
  const spec = acmeSpecOf(config, tls);
  if (spec !== undefined) {
    const { file, server, domains } = spec;
    return { certFile: file, keyFile: file, writtenBy: `${new URL(server).host} for ${domains.join(', ')}` };
  }
  if (certFile !== undefined && keyFile !== undefined) return { certFile, keyFile };
  throw new SettingsError(['tls: found no certificate, expected cert_file and key_file, or acme']);
}

/** The certificates to be ordered for the listeners. */
export function acmeSpecsOf(config: Config): readonly AcmeSpec[] {
  const { forwardProxy, admin } = config;
  const own = [...(forwardProxy.enabled ? forwardProxy.listen : []), ...(admin.enabled ? admin.listen : [])];
  return [...config.listen, ...own].flatMap(({ tls }) => (tls === undefined ? [] : (acmeSpecOf(config, tls) ?? [])));
}

function acmeSpecOf({ cache }: Config, { acme }: ListenerTls): AcmeSpec | undefined {
  if (acme === undefined) return undefined;
  const dir = acme.dir ?? (cache === 'off' ? undefined : join(cache.dir, 'acme'));
  if (dir === undefined) throw new SettingsError(['tls.acme: found no dir, expected one: the cache is off']);
  // The path of a directory may be long, and the name of a folder has at most 255 bytes.
  const folder = acme.server
    .replace(/^https:\/\/\.*/, '')
    .replace(/[^A-Za-z0-9.-]+/g, '-')
    .slice(0, 200);
  return { ...acme, file: join(dir, folder, `${acme.domains[0]}.pem`) };
}
