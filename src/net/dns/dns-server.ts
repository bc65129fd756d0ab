import type { CloseOptions } from '../http-types.ts';
import type { DnsAnswer, DnsQuestion } from './message.ts';

/** One name server that is asked over an encrypted connection. */
export interface DnsServer {
  /** For messages. */
  readonly name: string;
  /** Rejects with an Error where it cannot be asked, or does not answer in time. */
  ask(question: DnsQuestion): Promise<DnsAnswer>;
  close(options?: CloseOptions): void;
}

/** Milliseconds for one question to one server, its connection included. */
export const QUERY_TIMEOUT = 4_000;
/** Milliseconds an unused connection is kept (RFC 7858 §3.4 leaves it to us). */
export const IDLE_TIMEOUT = 30_000;
