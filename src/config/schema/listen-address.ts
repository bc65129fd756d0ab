import { isIP } from 'node:net';

/** The address of a listener: a port on one address (without a host: on every address), or a Unix socket. */
export type ListenAddress = { readonly host?: string; readonly port: number } | { readonly path: string };

/**
 * Reads `127.0.0.1:5000`, `[::1]:5000`, `localhost:5000`, `:5000`, `5000`, `*:5000` (the last three: every address) and
 * `unix:/run/entrepot.sock`. Port 0 lets the system choose.
 *
 * @returns undefined for any other text
 */
export function parseListenAddress(text: string | number): ListenAddress | undefined {
  if (typeof text === 'number') return parseListenAddress(String(text));
  if (text.startsWith('unix:')) {
    const path = text.slice('unix:'.length).replace(/^\/\/(?=\/)/, '');
    return path.startsWith('/') && path.length > 1 && !path.includes('\0') ? { path } : undefined;
  }
  const match = /^(?:(\*|[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+(?:%[A-Za-z0-9]+)?\])?:)?(\d{1,5})$/.exec(text);
  if (match === null) return undefined;
  const port = Number(match[2]);
  if (port > 65_535) return undefined;
  const written = match[1];
  if (written === undefined || written === '*') return { port };
  if (!written.startsWith('[')) return isHost(written) ? { host: written, port } : undefined;
  const host = written.slice(1, -1);
  return isIP(host) === 6 ? { host, port } : undefined;
}

/** Formats an address: the inverse of {@link parseListenAddress}. */
export function formatListenAddress(address: ListenAddress): string {
  if ('path' in address) return `unix:${address.path}`;
  if (address.host === undefined) return `:${address.port}`;
  return address.host.includes(':') ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
}

function isHost(text: string): boolean {
  // Digits and dots are meant as an IPv4 address: 300.1.1.1 is not a host name.
  if (/^[\d.]+$/.test(text)) return isIP(text) === 4;
  return isHostName(text);
}

/** Whether the text is a host name by RFC 1123: labels of letters, digits and inner dashes, 253 characters at most. */
export function isHostName(text: string): boolean {
  return (
    text.length <= 253 &&
    text.split('.').every((label) => /^[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?$/.test(label))
  );
}
