import { readFile } from 'node:fs/promises';
import { request } from 'node:https';
import { makeCertificate } from './certificates.ts';
import { startTcpDnsServer, zone } from './dns-servers.ts';
import { goTool } from './go-tools.ts';
import { freePort, type RunningProcess, type Workspace } from './processes.ts';

/** An ACME server: it loses its accounts and orders when it stops, and keeps its address. */
export interface Pebble {
  /** URL of its directory. */
  readonly directory: string;
  /** The authority of its own certificate, PEM file. */
  readonly caFile: string;
  /** The root of the certificates that it issues, PEM. Another one after each start. */
  root(): Promise<string>;
  start(): Promise<void>;
  stop(): Promise<void>;
}

interface PebbleOptions {
  /** Where the proofs of HTTP-01 are asked for, in place of port 80. */
  readonly httpPort: number;
  /** The names that lead to 127.0.0.1. */
  readonly domains: readonly string[];
  /** Seconds that its certificates live. */
  readonly validity: number;
  /** A key identifier and its key in base64url: without them, it creates no account. */
  readonly externalAccount?: readonly [keyId: string, hmacKey: string];
}

/** Prepares pebble, with a name server of its own; it is started apart. */
export async function preparePebble(workspace: Workspace, options: PebbleOptions): Promise<Pebble> {
  const { httpPort, domains, validity, externalAccount } = options;
  const own = await makeCertificate(workspace, 'pebble');
  const names = await startTcpDnsServer(zone(Object.fromEntries(domains.map((name) => [name, ['127.0.0.1']]))));
  workspace.defer(() => names.close());
  const [port, managementPort] = [await freePort(), await freePort()];
  const config = {
    listenAddress: `127.0.0.1:${port}`,
    managementListenAddress: `127.0.0.1:${managementPort}`,
    certificate: own.certFile,
    privateKey: own.keyFile,
    httpPort,
    tlsPort: 1,
    externalAccountBindingRequired: externalAccount !== undefined,
    externalAccountMACKeys: externalAccount === undefined ? {} : Object.fromEntries([externalAccount]),
    retryAfter: { authz: 1, order: 1 },
    profiles: { default: { description: 'the only one', validityPeriod: validity } },
  };
  const file = await workspace.file('pebble.json', JSON.stringify({ pebble: config }));
  const ca = own.caFile;
  const read = (url: string): Promise<string> => get(url, ca);
  let running: RunningProcess | undefined;
  return {
    directory: `https://127.0.0.1:${port}/dir`,
    caFile: ca,
    root: () => read(`https://127.0.0.1:${managementPort}/roots/0`),
    async start() {
      // Its rejected nonces stay: 5 in 100, as its authors want clients to be tested.
      const env = { ...process.env, PEBBLE_VA_NOSLEEP: '1', PEBBLE_AUTHZREUSE: '0' };
      const command = [goTool('pebble'), '-config', file, '-dnsserver', names.address, '-strict'];
      running = await workspace.start(command, {
        env,
        ready: async () => (await read(`https://127.0.0.1:${port}/dir`)).includes('newOrder'),
      });
    },
    async stop() {
      await running?.stop();
    },
  };
}

async function get(url: string, caFile: string): Promise<string> {
  const ca = await readFile(caFile, 'utf8');
  return new Promise((resolve, reject) => {
    // RFC 8555 §6.1 demands the name of the client, and so does pebble.
    const headers = { 'user-agent': 'test' };
    const asked = request(url, { ca, headers, agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part: string) => (text += part));
      response.on('end', () => resolve(text)).on('error', reject);
    });
    asked.on('error', reject).end();
  });
}
