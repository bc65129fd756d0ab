import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { type Config, formatKey } from '../../config/index.ts';
import type { ConfiguredUpstream } from '../../oci/index.ts';
import { readTlsFiles } from '../../server/index.ts';
import { SettingsError } from './error.ts';
import { loadForward } from './lazy.ts';
import { listenerFilesOf } from './listener-tls.ts';

/** The TLS files for upstreams, with the options that name them. */
function tlsFilesOf(
  config: Config,
): readonly { readonly option: string; readonly files: NonNullable<ConfiguredUpstream['tls']> }[] {
  const ofUpstreams = Object.entries(config.registries).flatMap(([name, { upstreams = [] }]) =>
    upstreams.map(({ tls }, at) => ({
      option: formatKey(['registries', name, 'upstreams', at, 'tls']),
      files: tls ?? {},
    })),
  );
  const ofMirrors = config.mirrors.map(({ tls }, at) => ({ option: `mirrors[${at}].tls`, files: tls ?? {} }));
  return [...ofUpstreams, ...ofMirrors, { option: 'transport', files: config.transport }];
}

/**
 * Reads the TLS files for upstreams: contents by path, without unreadable files. @throws {SettingsError} for contents that
 * cannot be used, which would otherwise fail the first request
 */
export async function readUpstreamFiles(config: Config): Promise<ReadonlyMap<string, string>> {
  const { contents, problems } = await inspectUpstreamFiles(config);
  if (problems.length > 0) throw new SettingsError(problems);
  return contents;
}

/** Checks that all TLS files in the configuration can be used. @throws {SettingsError} */
export async function checkTlsFiles(config: Config): Promise<void> {
  const { problems } = await inspectUpstreamFiles(config);
  problems.push(...(await inspectOwnFiles(config)));
  if (problems.length > 0) throw new SettingsError(problems);
}

/** Checks the certificates of this server's listeners. @throws {SettingsError} */
export async function checkOwnFiles(config: Config): Promise<void> {
  const problems = await inspectOwnFiles(config);
  if (problems.length > 0) throw new SettingsError(problems);
}

async function inspectUpstreamFiles(config: Config): Promise<{ contents: Map<string, string>; problems: string[] }> {
  const contents = new Map<string, string>();
  const named = tlsFilesOf(config);
  for (const file of new Set(named.flatMap(({ files }) => [files.caFile, files.certFile, files.keyFile]))) {
    const text = file === undefined ? undefined : await readFile(file, 'utf8').catch(() => undefined);
    if (file !== undefined && text !== undefined) contents.set(file, text);
  }
  const problems: string[] = [];
  if (contents.size === 0) return { contents, problems };
  const { createSecureContext } = await import('node:tls');
  const broken = new Set<string | undefined>();
  for (const { option, files } of named) {
    for (const [name, file, read] of [
      ['ca_file', files.caFile, readAuthorities],
      ['cert_file', files.certFile, (text: string) => new X509Certificate(text)],
      ['key_file', files.keyFile, createPrivateKey],
    ] as const) {
      const text = file === undefined ? undefined : contents.get(file);
      if (text !== undefined && !isReadable(text, read)) {
        problems.push(`${option}.${name}: ${file} ${FAULTS[name]}`);
        broken.add(file);
      }
    }
    const [cert, key] = [files.certFile, files.keyFile].map((file) =>
      broken.has(file) ? undefined : contents.get(file ?? ''),
    );
    if (cert === undefined || key === undefined) continue;
    if (!isReadable('', () => createSecureContext({ cert, key }))) {
      problems.push(
        `${option}: the key in ${files.keyFile} does not belong to the certificate in ${files.certFile}; they must be a pair`,
      );
    }
  }
  return { contents, problems };
}

/** The problems of the listeners' certificates and of the forward proxy's certificate authority. */
async function inspectOwnFiles(config: Config): Promise<readonly string[]> {
  const { listen, forwardProxy, admin } = config;
  const problems: string[] = [];
  const attempt = async (option: string, read: () => Promise<unknown>): Promise<void> => {
    try {
      await read();
    } catch (error) {
      problems.push(`${option}: ${(error as Error).message}`);
    }
  };
  for (const [option, listeners] of Object.entries({
    listen,
    'forward_proxy.listen': forwardProxy.listen,
    'admin.listen': admin.listen,
  })) {
    for (const [at, { tls }] of listeners.entries()) {
      if (tls === undefined) continue;
      // The files of an ordered certificate may be yet to come.
      if (tls.acme === undefined)
        await attempt(`${option}[${at}].tls`, () => readTlsFiles(listenerFilesOf(config, tls)));
      else await attempt(`${option}[${at}].tls.acme.ca_file`, () => requireAuthorities(tls.acme?.caFile));
    }
  }
  const { enabled, caCertFile: certFile, caKeyFile: keyFile } = forwardProxy.mitm;
  if (enabled && certFile !== undefined && keyFile !== undefined) {
    const { readAuthority } = await loadForward();
    await attempt('forward_proxy.mitm', () => readAuthority({ certFile, keyFile }));
  }
  return problems;
}

const FAULTS = {
  ca_file: 'holds no certificate of an authority that can be read; expected PEM',
  cert_file: 'holds no certificate that can be read; expected PEM',
  key_file: 'holds no private key that can be read; expected PEM, whole and without a passphrase',
} as const;

function isReadable(text: string, read: (text: string) => unknown): boolean {
  try {
    read(text);
    return true;
  } catch {
    return false;
  }
}

/** @throws {Error} where a file of authorities cannot be used */
async function requireAuthorities(file: string | undefined): Promise<void> {
  if (file === undefined) return;
  const text = await readFile(file, 'utf8');
  if (!isReadable(text, readAuthorities)) throw new Error(`${file} ${FAULTS.ca_file}`);
}

/** OpenSSL skips anything that is not a certificate, so a file without one would go unnoticed. @throws {Error} */
function readAuthorities(pem: string): void {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g) ?? [];
  const certificates = blocks.map((block) => new X509Certificate(block));
  if (certificates.length === 0) throw new Error('there is none');
}
