import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { Config } from '../../config/index.ts';
import { readTlsFiles } from '../../server/index.ts';
import { SettingsError } from './error.ts';
import { loadForward } from './lazy.ts';

/** The files that TLS towards upstreams needs, and where the configuration names them. */
function tlsFilesOf(config: Config): readonly { readonly option: string; readonly files: UpstreamFiles }[] {
  const ofUpstreams = Object.entries(config.registries).flatMap(([name, { upstreams = [] }]) =>
    upstreams.map(({ tls }, at) => ({ option: `registries.${name}.upstreams[${at}].tls`, files: tls ?? {} })),
  );
  const ofMirrors = config.mirrors.map(({ tls }, at) => ({ option: `mirrors[${at}].tls`, files: tls ?? {} }));
  const { ca_file } = config.transport;
  return [...ofUpstreams, ...ofMirrors, { option: 'transport.ca_file', files: { ca_file } }];
}

interface UpstreamFiles {
  readonly ca_file?: string | undefined;
  readonly cert_file?: string | undefined;
  readonly key_file?: string | undefined;
}

/**
 * What the certificates, keys and authorities hold that TLS towards upstreams needs, by the path of their file; one that cannot
 * be read is left out. @throws {SettingsError} where one cannot be put to use, which would otherwise show when the upstream
 * is first asked
 */
export async function readUpstreamFiles(config: Config): Promise<ReadonlyMap<string, string>> {
  const contents = new Map<string, string>();
  for (const { files } of tlsFilesOf(config)) {
    for (const file of [files.ca_file, files.cert_file, files.key_file]) {
      if (file === undefined || contents.has(file)) continue;
      const text = await readFile(file, 'utf8').catch(() => undefined);
      if (text !== undefined) contents.set(file, text);
    }
  }
  await checkUpstreamFiles(config, contents);
  return contents;
}

/** Looks whether every certificate, key and authority that is named can be put to use. @throws {SettingsError} */
export async function checkTlsFiles(config: Config): Promise<void> {
  const found = await Promise.allSettled([readUpstreamFiles(config), checkOwnFiles(config)]);
  const problems: string[] = [];
  for (const each of found) {
    if (each.status === 'fulfilled') continue;
    if (!(each.reason instanceof SettingsError)) throw each.reason;
    problems.push(...each.reason.problems);
  }
  if (problems.length > 0) throw new SettingsError(problems);
}

/** Those that this server shows itself: of its listeners, and of the authority that is named for decrypted tunnels. */
async function checkOwnFiles({ listen, forward_proxy: forward }: Config): Promise<void> {
  const problems: string[] = [];
  const attempt = async (option: string, read: () => Promise<unknown>): Promise<void> => {
    try {
      await read();
    } catch (error) {
      problems.push(`${option}: ${(error as Error).message}`);
    }
  };
  const listeners = [
    ...listen.map(({ tls }, at) => ({ option: `listen[${at}].tls`, tls })),
    ...(forward.listen ?? []).map(({ tls }, at) => ({ option: `forward_proxy.listen[${at}].tls`, tls })),
  ];
  for (const { option, tls } of listeners) {
    if (tls === undefined) continue;
    await attempt(option, () => readTlsFiles({ certFile: tls.cert_file, keyFile: tls.key_file }));
  }
  const { enabled, ca_cert_file: certFile, ca_key_file: keyFile } = forward.mitm;
  if (enabled && certFile !== undefined && keyFile !== undefined) {
    const { readAuthority } = await loadForward();
    await attempt('forward_proxy.mitm', () => readAuthority({ certFile, keyFile }));
  }
  if (problems.length > 0) throw new SettingsError(problems);
}

async function checkUpstreamFiles(config: Config, contents: ReadonlyMap<string, string>): Promise<void> {
  if (contents.size === 0) return;
  const { createSecureContext } = await import('node:tls');
  const problems: string[] = [];
  for (const { option, files } of tlsFilesOf(config)) {
    const { ca_file, cert_file, key_file } = files;
    const [ca, cert, key] = [ca_file, cert_file, key_file].map((file) => file && contents.get(file));
    try {
      // What is no certificate is passed over by OpenSSL, and then nobody is trusted.
      if (ca !== undefined && parseAuthorities(ca).length === 0) {
        throw new Error('no certificate of an authority is in it');
      }
      createSecureContext({ ...(cert && { cert }), ...(key && { key }) });
    } catch (error) {
      problems.push(`${option}: found files that cannot be used: ${(error as Error).message}`);
    }
  }
  if (problems.length > 0) throw new SettingsError(problems);
}

/** @throws {Error} where one cannot be read */
function parseAuthorities(pem: string): readonly X509Certificate[] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g) ?? [];
  return blocks.map((block) => new X509Certificate(block));
}
