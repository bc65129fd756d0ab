import type { OnReadOpts, Socket } from 'node:net';
import type { AddressPolicy } from '../http-types.ts';
import type { DialTrace } from './trace.ts';

export interface DialTarget {
  readonly protocol: string;
  /** As in a URL; IPv6 may be in brackets. */
  readonly host: string;
  readonly port: number;
  readonly addresses: AddressPolicy;
  /** Reads land in these buffers; the socket then emits no `data`. */
  readonly onread?: OnReadOpts;
  readonly signal?: AbortSignal | undefined;
  /** The name the certificate must be valid for. @default the host */
  readonly certificateName?: string;
  /** Application protocols to offer (RFC 7301); empty: none. @default ['http/1.1'] */
  readonly alpn?: readonly string[];
  /** Is told each step of the dial. @default none */
  readonly trace?: DialTrace;
}

export interface Dialled {
  /** The TLS socket for `https:`, else the TCP socket. It has an error listener; the receiver adds its own. */
  readonly socket: Socket;
  /** The TCP connection, for `ref` and `unref`. It may be `socket` itself. */
  readonly connection: Socket;
  /** The connected address; undefined through an outbound proxy. */
  readonly remoteAddress: string | undefined;
}

/**
 * Resolves with a connected socket, TLS for `https:`. Rejects with HttpError: `refused`, `dns`, `timeout`, `reset`, `tls`,
 * `protocol`, `forbidden`, `aborted`.
 */
export type Dial = (target: DialTarget) => Promise<Dialled>;
