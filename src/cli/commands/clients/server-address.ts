import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { ServerAddress } from '../../../clients/index.ts';
import { type Config, type ConfigFlags, loadConfig } from '../../../config/index.ts';
import { SetupError } from '../../../setup/index.ts';
import { UsageError } from '../../errors.ts';

/**
 * The server that clients are pointed at: the one that is named, else the first public URL of the configuration, else its first
 * listener, by loopback where that is on every address.
 *
 * @throws UsageError if the one that is named is no address of a server
 * @throws SetupError if neither gives an address
 * @throws ConfigError if the configuration is wrong
 */
export async function serverAddress(named: string | undefined, flags: ConfigFlags): Promise<ServerAddress> {
  if (named !== undefined) {
    const server = addressOf(named);
    if (server === undefined) throw new UsageError(`--server ${named} is no address; ${EXPECTED}`);
    return server;
  }
  const { config } = await loadConfig({ flags, checkReferences: false });
  const text = config.publicUrl[0] ?? listenerUrl(config);
  const server = addressOf(text);
  if (server === undefined) {
    throw new SetupError(`The configuration has the address ${JSON.stringify(text)}; ${EXPECTED}.`);
  }
  return server;
}

const EXPECTED = 'expected http:// or https://, a host and perhaps a port, such as http://127.0.0.1:5000';

function addressOf(text: string): ServerAddress | undefined {
  const url = URL.parse(text);
  const isOrigin = url !== null && /^https?:$/.test(url.protocol) && url.pathname === '/' && !/[?#@]/.test(text);
  return isOrigin ? { url: url.origin, host: url.host, defaultRegistry: 'docker.io' } : undefined;
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
