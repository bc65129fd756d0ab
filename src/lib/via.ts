import { randomBytes } from 'node:crypto';

/**
 * Servers that one request may pass. A client behind a CDN and two balancers, with three tiers of mirrors, passes about ten;
 * a loop that loses the name of this server on its way still ends here.
 */
export const MAX_HOPS = 16;

const PSEUDONYM = /^entrepot-[0-9a-f]{16}$/;
const PROTOCOL = /^(?:[A-Za-z]{1,8}\/)?\d(?:\.\d)?$/;

/** Stands for a server that is not one of ours: its name may be internal to a network (RFC 9110 §7.6.3). */
const OTHER = 'hidden';

/** The servers behind a request that this server sends. */
export interface Via {
  /** Servers that the request behind it had passed before this one. */
  readonly hops: number;
  /** The `Via` header: one entry for each of these, then this server's own. */
  readonly header: string;
  /** The id of the request behind it, where a client sent one. */
  readonly request?: string | undefined;
  /** The repository that a request to an upstream is for, as its registry knows it. */
  readonly repository?: string | undefined;
}

/** A name for one process in `Via`: random, so that it tells nothing of the machine and no two processes share it. */
export function createPseudonym(): string {
  return `entrepot-${randomBytes(8).toString('hex')}`;
}

/** The chain of a request that no client caused. */
export function ownVia(pseudonym: string): Via {
  return { hops: 0, header: `1.1 ${pseudonym}` };
}

/**
 * Why a request must not be sent on: it has passed this server before, or more than {@link MAX_HOPS} servers; undefined where
 * it may be. The sentence names the remedy.
 */
export function loopIn(received: string | undefined, pseudonym: string): string | undefined {
  if (received === undefined) return undefined;
  const entries = entriesOf(received);
  // In the text as well: a comment that is never closed hides the entries behind it.
  if (received.includes(pseudonym)) {
    const others = entries.length - 1 - entries.findLastIndex(({ name }) => name === pseudonym);
    if (others === 0) return 'loop: this server is its own upstream. Remove its own address from its upstreams';
    const through = others === 1 ? 'another server' : `${others} other servers`;
    return `loop: the request came back to this server through ${through}. Remove this server from the upstreams of the last one, or that one from the upstreams here`;
  }
  if (entries.length <= MAX_HOPS) return undefined;
  return `loop: the request has passed ${entries.length} servers, and at most ${MAX_HOPS} are accepted. Look for mirrors that have each other as upstreams`;
}

/**
 * The chain to send on. It is written again: comments are left out, and so are the names of servers that are not ours.
 *
 * @param by.version of HTTP in which the request came (`1.1`)
 * @param by.request its id
 */
export function continueVia(
  received: string | undefined,
  { pseudonym, version, request }: { readonly pseudonym: string; readonly version: string; readonly request?: string },
): Via {
  const entries = received === undefined ? [] : entriesOf(received).slice(-MAX_HOPS);
  const passed = entries.map(({ protocol, name }) => `${protocol} ${name}`);
  const header = passed.length === 0 ? `${version} ${pseudonym}` : `${passed.join(', ')}, ${version} ${pseudonym}`;
  return request === undefined ? { hops: entries.length, header } : { hops: entries.length, header, request };
}

/** `1.1 name (comment), 1.0 other`: the comments nest, and may hold commas. */
function entriesOf(header: string): readonly { readonly protocol: string; readonly name: string }[] {
  let plain = '';
  let depth = 0;
  for (let i = 0; i < header.length; i += 1) {
    const character = header[i];
    if (character === '\\' && depth > 0) i += 1;
    else if (character === '(') depth += 1;
    else if (character === ')' && depth > 0) depth -= 1;
    else if (depth === 0) plain += character;
  }
  return plain
    .split(',')
    .map((entry) => entry.trim().split(/[ \t]+/))
    .filter(([first]) => first !== '')
    .map(([protocol = '', name = '']) => ({
      protocol: PROTOCOL.test(protocol) ? protocol : '1.1',
      name: PSEUDONYM.test(name) ? name : OTHER,
    }));
}
