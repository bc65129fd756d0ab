import type { CloseOptions } from '../http-types.ts';
import { DnsServerError } from './dns-error.ts';
import type { DnsServer } from './dns-server.ts';
import type { DnsAnswer, DnsQuestion } from './message.ts';

/** Milliseconds a failed server is skipped: long enough not to delay every lookup, short enough to notice its recovery. */
const PARKED = 30_000;

/** An answer with the server that gave it. */
interface ServedAnswer extends DnsAnswer {
  /** The name server. */
  readonly by: string;
  /** Why earlier servers gave no answer; undefined where the first one answered. */
  readonly trouble: string | undefined;
}

/**
 * Name servers in order of preference: the first one that can answer does. A server that is unreachable, or does not answer in
 * time, is skipped for a while.
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
   * The answer of the first server that has one. Rejects with {@link DnsServerError} where none has. Where every server is to be
   * skipped, `isLastResort` says to query them all the same, since there is no other resolver.
   */
  async ask(question: DnsQuestion, { isLastResort }: { readonly isLastResort: boolean }): Promise<ServedAnswer> {
    const now = this.#now();
    const isParked = (server: DnsServer): boolean => (this.#parkedUntil.get(server) ?? 0) > now;
    const free = this.#servers.filter((server) => !isParked(server));
    const parked = isLastResort && free.length === 0 ? this.#servers : [];
    const reasons: string[] = [];
    for (const server of [...free, ...parked]) {
      try {
        const answer = await server.ask(question);
        this.#parkedUntil.delete(server);
        if (answer.outcome !== 'failed') {
          return { ...answer, by: server.name, trouble: reasons.length === 0 ? undefined : reasons.join('; ') };
        }
        // The server works, but not for this name: another may answer, and this one is used for the next name.
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
