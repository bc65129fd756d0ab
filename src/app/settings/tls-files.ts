import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { Config } from '../../config/index.ts';
import type { TlsSpec } from '../../oci/index.ts';
import { readTlsFiles } from '../../server/index.ts';
import { SettingsError } from './error.ts';
import { loadForward } from './lazy.ts';

/** The TLS files for upstreams, with the options that name them. */
function tlsFilesOf(config: Config): readonly { readonly option: string; readonly files: TlsSpec }[] {
  const ofUpstreams = Object.entries(config.registries).flatMap(([name, { upstreams = [] }]) =>
    upstreams.map(({ tls }, at) => ({ option: `registries.${name}.upstreams[${at}].tls`, files: tls ?? {} })),
  );
  const ofMirrors = config.mirrors.map(({ tls }, at) => ({ option: `mirrors[${at}].tls`, files: tls ?? {} }));
  return [...ofUpstreams, ...ofMirrors, { option: 'transport.ca_file', files: config.transport }];
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
  for (const { option, files } of named) {
    const [ca, cert, key] = [files.caFile, files.certFile, files.keyFile].map((file) => file && contents.get(file));
    try {
      // OpenSSL skips anything that is not a certificate, so a file without one would go unnoticed.
      if (ca !== undefined && parseAuthorities(ca).length === 0) {
        throw new Error('no certificate of an authority is in it');
      }
      createSecureContext({ ...(cert && { cert }), ...(key && { key }) });
    } catch (error) {
      problems.push(`${option}: found files that cannot be used: ${(error as Error).message}`);
    }
  }
  return { contents, problems };
}

/** The problems of the listeners' certificates and of the forward proxy's certificate authority. */
async function inspectOwnFiles({ listen, forwardProxy }: Config): Promise<readonly string[]> {
  const problems: string[] = [];
  const attempt = async (option: string, read: () => Promise<unknown>): Promise<void> => {
    try {
      await read();
    } catch (error) {
      problems.push(`${option}: ${(error as Error).message}`);
    }
  };
  for (const [option, listeners] of Object.entries({ listen, 'forward_proxy.listen': forwardProxy.listen })) {
    for (const [at, { tls }] of listeners.entries()) {
      if (tls !== undefined) await attempt(`${option}[${at}].tls`, () => readTlsFiles(tls));
    }
  }
  const { enabled, caCertFile: certFile, caKeyFile: keyFile } = forwardProxy.mitm;
  if (enabled && certFile !== undefined && keyFile !== undefined) {
    const { readAuthority } = await loadForward();
    await attempt('forward_proxy.mitm', () => readAuthority({ certFile, keyFile }));
  }
  return problems;
}

/** @throws {Error} for an invalid certificate */
function parseAuthorities(pem: string): readonly X509Certificate[] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g) ?? [];
  return blocks.map((block) => new X509Certificate(block));
}
