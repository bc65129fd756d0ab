import { mkdir } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { freePort } from '../../test/support/processes.ts';
import { isInstalled } from './machine.ts';
import { fillTemplate, type Place, type Subject, start, startEntrepot } from './subjects.ts';

const TLS = new URL('../../test/support/tls/', import.meta.url);
const CERT = fileURLToPath(new URL('server.pem', TLS));
const KEY = fileURLToPath(new URL('server-key.pem', TLS));

/** Path of the PEM by which both servers are to be trusted. */
export const CA_FILE = fileURLToPath(new URL('ca.pem', TLS));

/** A server under measurement that speaks TLS too, for `localhost`. */
export interface TlsSubject extends Subject {
  readonly tlsPort: number;
}

export interface TlsOptions {
  readonly upstream: string;
  /** @default 'entrepot' */
  readonly name?: string;
  /** Directory of the checkout. @default this one */
  readonly checkout?: string | undefined;
}

/** Starts entrepot with a listener for TLS besides the plain one. */
export async function startTlsEntrepot(place: Place, { checkout, ...options }: TlsOptions): Promise<TlsSubject> {
  const [port, tlsPort] = [await freePort(), await freePort()];
  const tls = { address: `127.0.0.1:${tlsPort}`, tls: { cert_file: CERT, key_file: KEY } };
  const config = { listen: [`127.0.0.1:${port}`, tls] };
  const beside = checkout === undefined ? {} : { checkout };
  return { ...(await startEntrepot(place, { ...options, ...beside, port, config })), tlsPort };
}

/** Starts nginx with the same key, which sends files; undefined where it is not installed. */
export async function startTlsNginx(place: Place, files: string): Promise<TlsSubject | undefined> {
  if (!isInstalled('nginx')) return undefined;
  const { workspace } = place;
  const [readyPort, tlsPort] = [await freePort(), await freePort()];
  const dir = workspace.path(`nginx-${tlsPort}`);
  await mkdir(dir);
  const config = await fillTemplate('nginx-tls.conf', {
    DIR: dir,
    USER: process.getuid?.() === 0 ? 'user root;' : '',
    READY_PORT: String(readyPort),
    TLS_PORT: String(tlsPort),
    CERT,
    KEY,
    ROOT: files,
  });
  const file = await workspace.file(`nginx-${tlsPort}.conf`, config);
  const url = `http://127.0.0.1:${readyPort}`;
  const running = await start(place, ['nginx', '-e', 'stderr', '-p', dir, '-c', file], { url: `${url}/` });
  return { name: 'nginx', peer: 'nginx', url, tlsPort, process: running };
}
