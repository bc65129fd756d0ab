import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { ServerAddress } from '../../../clients/index.ts';
import { type Config, type ConfigFlags, loadConfig } from '../../../config/index.ts';
import { SetupError } from '../../../setup/index.ts';

/**
 * The server that clients are pointed at: the one that is named, else the public URL of the configuration, else its first
 * listener, by loopback where that is on every address.
 *
 * @throws SetupError if neither gives an address
 * @throws ConfigError if the configuration is wrong
 */
export async function serverAddress(named: string | undefined, flags: ConfigFlags): Promise<ServerAddress> {
  if (named !== undefined) return addressOf(named, '--server');
  const { config } = await loadConfig({ flags, checkReferences: false });
  return addressOf(config.publicUrl ?? listenerUrl(config), 'the configuration');
}

function addressOf(text: string, source: string): ServerAddress {
  const url = URL.parse(text);
  const isOrigin = url !== null && /^https?:$/.test(url.protocol) && url.pathname === '/' && !/[?#@]/.test(text);
  if (!isOrigin) {
    const expected = 'expected http:// or https://, a host and perhaps a port, such as http://127.0.0.1:5000';
    throw new SetupError(`${source} has the address ${JSON.stringify(text)}; ${expected}.`);
  }
  return { url: url.origin, host: url.host, defaultRegistry: 'docker.io' };
}

function listenerUrl({ listen }: Config): string {
  for (const { address, tls, redirectToHttps } of listen) {
    if ('path' in address || address.port === 0 || redirectToHttps) continue;
    const { host = '127.0.0.1', port } = address;
    const reachable = ['0.0.0.0', '::'].includes(host) ? '127.0.0.1' : host.includes(':') ? `[${host}]` : host;
    return `${tls === undefined ? 'http' : 'https'}://${reachable}:${port}`;
  }
  throw new SetupError('The configuration names no address that clients reach; name it with --server URL.');
}

/**
 * The certificates of a file, for clients to trust.
 *
 * @throws SetupError if it has none, or a private key too, which would be copied to where others can read it
 */
export async function readCertificates(file: string): Promise<string> {
  const text = await readFile(file, 'utf8').catch((error: Error) => {
    throw new SetupError(`--ca ${file} cannot be read: ${error.message}.`);
  });
  if (/-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(text)) {
    throw new SetupError(`--ca ${file} has a private key; name a file with the certificate alone.`);
  }
  const blocks = text.match(/-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g) ?? [];
  try {
    if (blocks.length === 0) throw new Error('it has no certificate in PEM');
    return `${blocks.map((block) => new X509Certificate(block).toString().trimEnd()).join('\n')}\n`;
  } catch (error) {
    throw new SetupError(`--ca ${file} cannot be used: ${error instanceof Error ? error.message : String(error)}.`);
  }
}
