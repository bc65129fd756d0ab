import type { CloseOptions } from '../http-types.ts';
import type { DnsAnswer, DnsQuestion } from './message.ts';

/** A name server over an encrypted connection. */
export interface DnsServer {
  /** For messages. */
  readonly name: string;
  /** Rejects with an Error where the server is unreachable, or does not answer in time. */
  ask(question: DnsQuestion): Promise<DnsAnswer>;
  close(options?: CloseOptions): void;
}

/** Milliseconds for one query to one server, including its connection. */
export const QUERY_TIMEOUT = 4_000;
/** Milliseconds an unused connection is kept (RFC 7858 §3.4 leaves it to the client). */
export const IDLE_TIMEOUT = 30_000;
