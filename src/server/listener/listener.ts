import type { Server } from 'node:net';
import type { TlsFiles } from '../tls/index.ts';
import { listenOnSocketPath } from './unix-socket.ts';

/** One address to listen on. */
export interface ListenerSpec {
  /** No host means all interfaces; port 0 any free one; a path is a Unix socket. */
  readonly address: { readonly host?: string; readonly port: number } | { readonly path: string };
  /** PEM files; with them the listener speaks HTTPS. */
  readonly tls?: TlsFiles;
  /** Answers every request with 308 to the same path over HTTPS. @default false */
  readonly redirectToHttps?: boolean;
  /** Takes requests for other servers, where the forward proxy is on. @default false */
  readonly forward?: boolean;
  /** Serves the administration alone. @default false */
  readonly admin?: boolean;
}

/** The address of an open listener, with its actual port. */
export interface ListenerAddress {
  /** `127.0.0.1:5000`, `[::]:5000` or `unix:/run/entrepot.sock`. */
  readonly address: string;
  readonly protocol: 'http' | 'https';
  /** Undefined for a Unix socket. */
  readonly port: number | undefined;
  readonly redirectToHttps: boolean;
  /** Set where it serves the administration alone. */
  readonly admin?: true;
}

/** A listener that could not be opened. The message names the address, the reason and the remedy. */
export class ListenError extends Error {
  override readonly name = 'ListenError';
  /** The system's code (`EADDRINUSE`), where it has one. */
  readonly code: string | undefined;

  constructor(message: string, cause: NodeJS.ErrnoException) {
    super(message, { cause });
    this.code = cause.code;
  }
}

/**
 * Connections that the kernel accepts while this process is busy. Node's default of 511 resets connections when 2,000 clients
 * come at once; the kernel itself caps this at net.core.somaxconn.
 */
const BACKLOG = 4096;

/** The group (a web server in front) may use the socket, others may not. */
const SOCKET_MODE = 0o660;

/** Binds a server to its address. @throws {ListenError} */
export async function openListener(server: Server, spec: ListenerSpec): Promise<ListenerAddress> {
  const address = spec.address;
  try {
    if ('path' in address) await listenOnSocketPath(server, address.path, { mode: SOCKET_MODE, backlog: BACKLOG });
    else await listenOnPort(server, address);
  } catch (error) {
    throw explainListenError(spec, error as NodeJS.ErrnoException);
  }
  const found = server.address();
  const bound = typeof found === 'object' && found !== null ? found : undefined;
  return {
    address: bound === undefined ? formatAddress(spec) : formatHostPort(bound.address, bound.port),
    protocol: spec.tls === undefined ? 'http' : 'https',
    port: bound?.port,
    redirectToHttps: spec.redirectToHttps === true,
    ...(spec.admin === true && { admin: true }),
  };
}

function listenOnPort(server: Server, { host, port }: { host?: string; port: number }): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ port, backlog: BACKLOG, ...(host === undefined || host === '' ? {} : { host }) }, () => {
      server.removeListener('error', reject);
      resolve();
    });
  });
}

/** The address as people write it: `127.0.0.1:5000`, `*:5000`, `unix:/run/entrepot.sock`. */
export function formatAddress({ address }: ListenerSpec): string {
  if ('path' in address) return `unix:${address.path}`;
  return address.host === undefined || address.host === ''
    ? `*:${address.port}`
    : formatHostPort(address.host, address.port);
}

function formatHostPort(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

function explainListenError(spec: ListenerSpec, cause: NodeJS.ErrnoException): ListenError {
  return new ListenError(`Cannot listen on ${formatAddress(spec)}: ${reasonOf(spec, cause)}`, cause);
}

function reasonOf(spec: ListenerSpec, cause: NodeJS.ErrnoException): string {
  const isPath = 'path' in spec.address;
  switch (cause.code) {
    case 'EADDRINUSE':
      return isPath
        ? 'another server answers on this socket; stop it, or choose another path with `listen`'
        : 'another program listens there already; stop it, or choose another address with `listen` or --listen';
    case 'EACCES':
    case 'EPERM':
      return isPath
        ? 'this user may not write to its directory; choose another path, or change the owner of the directory'
        : 'this user may not open the port; choose one from 1024 up, or grant the capability CAP_NET_BIND_SERVICE';
    case 'EADDRNOTAVAIL':
      return 'this machine has no such address; use one of its own, or leave the host out to listen on all of them';
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return 'the host name does not resolve; write the address in numbers, or leave the host out';
    case 'EEXIST':
      return 'a file of that name exists and is not a socket; remove it, or choose another path with `listen`';
    case 'ENOENT':
    case 'ENOTDIR':
      return 'the directory of the socket does not exist; create it, or choose another path with `listen`';
    case 'EINVAL':
    case 'ENAMETOOLONG':
      return isPath ? 'the path is too long for a Unix socket (about 100 bytes); choose a shorter one' : cause.message;
    default:
      return cause.message;
  }
}
