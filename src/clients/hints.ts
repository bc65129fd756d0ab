import type { ListenerAddress } from '../server/index.ts';
import { CLIENTS } from './clients.ts';

/** How clients are pointed at a running server. */
export interface ClientHints {
  /** One line of configuration, or one command, for each client. */
  readonly examples: Readonly<Record<string, string>>;
  /** The address of the help page. */
  readonly help: string;
  /** All of it for a terminal. */
  readonly text: string;
}

/** Undefined where the server listens on Unix sockets only, which no client reaches directly. */
export function describeClients(
  listeners: readonly ListenerAddress[],
  publicUrl: string | undefined,
): ClientHints | undefined {
  const listener = listeners.find(({ port, redirectToHttps }) => port !== undefined && !redirectToHttps);
  if (listener === undefined) return undefined;
  const base = publicUrl ?? `${listener.protocol}://${reachable(listener.address)}`;
  const url = base.replace(/\/$/, '');
  const server = { url, host: new URL(url).host };
  const hints = CLIENTS.flatMap(({ hint }) => (hint === undefined ? [] : [[hint.label, hint.line(server)] as const]));
  const width = Math.max(...hints.map(([label]) => label.length));
  const lines = hints.map(([label, line]) => `  ${label.padEnd(width)}  ${line}`);
  const help = `${url}/help`;
  const text = `\nPoint clients at it:\n${lines.join('\n')}\n\nEvery registry and every way of naming an image: ${help}\n\n`;
  return { examples: Object.fromEntries(hints), help, text };
}

/** An address for clients on this machine: loopback, where the server listens on every interface. */
function reachable(address: string): string {
  return address.replace(/^(?:\[::\]|0\.0\.0\.0):/, '127.0.0.1:');
}
