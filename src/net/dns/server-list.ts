import type { CloseOptions } from '../http-types.ts';
import { DnsServerError } from './dns-error.ts';
import type { DnsServer } from './dns-server.ts';
import type { DnsAnswer, DnsQuestion } from './message.ts';

/** Milliseconds a server that failed is left alone: long enough not to wait for it each time, short enough to come back. */
const PARKED = 30_000;

/** An answer, and who gave it. */
export interface ServedAnswer extends DnsAnswer {
  /** The name server. */
  readonly by: string;
  /** Why those before it gave none; undefined where there were none. */
  readonly trouble: string | undefined;
}

/**
 * Name servers in the order they are to be asked: the first that can answer does. One that cannot be reached, or does not
 * answer in time, is left alone for a while.
 */
export class ServerList {
  readonly #servers: readonly DnsServer[];
  readonly #now: () => number;
  readonly #parkedUntil = new Map<DnsServer, number>();

  constructor(servers: readonly DnsServer[], { now }: { readonly now: () => number }) {
    this.#servers = servers;
    this.#now = now;
  }

  /**
   * The answer of the first server that has one. Rejects with {@link DnsServerError} where none has; servers that are left
   * alone are asked only where `lastHope` says that there is nobody else.
   */
  async ask(question: DnsQuestion, { lastHope }: { readonly lastHope: boolean }): Promise<ServedAnswer> {
    const now = this.#now();
    const isParked = (server: DnsServer): boolean => (this.#parkedUntil.get(server) ?? 0) > now;
    const free = this.#servers.filter((server) => !isParked(server));
    const parked = lastHope && free.length === 0 ? this.#servers : [];
    const reasons: string[] = [];
    for (const server of [...free, ...parked]) {
      try {
        const answer = await server.ask(question);
        this.#parkedUntil.delete(server);
        if (answer.outcome !== 'failed') {
          return { ...answer, by: server.name, trouble: reasons.length === 0 ? undefined : reasons.join('; ') };
        }
        // It works, only not for this name: another may know better, and this one is asked for the next.
        reasons.push(`${server.name} answered ${answer.rcode}`);
      } catch (error) {
        this.#parkedUntil.set(server, this.#now() + PARKED);
        reasons.push(error instanceof Error ? error.message : String(error));
      }
    }
    throw new DnsServerError(reasons.length === 0 ? 'every name server failed a moment ago' : reasons.join('; '));
  }

  close(options?: CloseOptions): void {
    for (const server of this.#servers) server.close(options);
  }
}
