import type { OnReadOpts, Socket } from 'node:net';
import type { AddressPolicy } from '../http-types.ts';
import type { DialTrace } from './trace.ts';

export interface DialTarget {
  readonly protocol: string;
  /** As in a URL: IPv6 may be in brackets. */
  readonly host: string;
  readonly port: number;
  readonly addresses: AddressPolicy;
  /** Reads land in these buffers instead of in events; the socket then emits no `data`. */
  readonly onread?: OnReadOpts;
  readonly signal?: AbortSignal | undefined;
  /** What the certificate must be for. @default the host */
  readonly certificateName?: string;
  /** Application protocols to offer (RFC 7301); none of them where it is empty. @default ['http/1.1'] */
  readonly alpn?: readonly string[];
  /** Hears how far it has come. @default nobody */
  readonly trace?: DialTrace;
}

export interface Dialled {
  /** TLS where that was asked for. It has an error listener already; the receiver adds its own. */
  readonly socket: Socket;
  /** The TCP connection: what `ref` and `unref` concern. May be the same. */
  readonly connection: Socket;
  /** The address that was connected to; undefined where an outbound proxy did it. */
  readonly remoteAddress: string | undefined;
}

/**
 * Gives a connected socket, TLS where the protocol is `https:`, or rejects with HttpError: `refused`, `dns`, `timeout`,
 * `reset`, `tls`, `protocol`, `forbidden`, `aborted`.
 */
export type Dial = (target: DialTarget) => Promise<Dialled>;
