import { keyOf } from '../../../lib/index.ts';

/** How the blobs of a registry are split. */
export interface SplitPolicy {
  /** Connections that one transfer uses at most, and of them those to one upstream; 1: no segment is fetched. */
  readonly connections: number;
  /** Bytes of a segment at least. Blobs of less than two are not split. */
  readonly minSegment: number;
  /** Connections of all segments to one upstream. */
  readonly mostOfUpstream: number;
  /** The host whose connections these are: upstreams of one host have them together. @default the upstream has its own */
  readonly host?: string | undefined;
}

/** How the blobs of an upstream are split. */
export type SplitOf = (registry: string, upstream: string) => SplitPolicy;

/** How long it is known that an upstream wants fewer connections, or sends no parts. Milliseconds. */
const KNOWN_FOR_MS = 10 * 60_000;

/** Upstreams of which something is known; the oldest is forgotten. */
const MOST_KNOWN = 1000;

interface Known {
  inUse: number;
  /** Segments at once; undefined: as the policy says. */
  most: number | undefined;
  until: number;
}

/** The connections of segments, of all transfers together: how many each upstream has, and how many it stands. */
export class SegmentSlots {
  readonly #known = new Map<string, Known>();
  readonly #now: () => number;

  /** @param now milliseconds since the epoch */
  constructor(now: () => number = Date.now) {
    this.#now = now;
  }

  /** Segments that an upstream may have at once. */
  mostOf(registry: string, upstream: string, policy: SplitPolicy): number {
    const { mostOfUpstream } = policy;
    const known = this.#known.get(keyOfHost(registry, upstream, policy));
    return Math.min(mostOfUpstream, this.#learnt(known) ?? mostOfUpstream);
  }

  /** Segments that an upstream may have besides those it has. */
  left(registry: string, upstream: string, policy: SplitPolicy): number {
    const inUse = this.#known.get(keyOfHost(registry, upstream, policy))?.inUse ?? 0;
    return Math.max(0, this.mostOf(registry, upstream, policy) - inUse);
  }

  /** Takes a connection until the returned function is called; undefined where all are in use. */
  take(registry: string, upstream: string, policy: SplitPolicy): (() => void) | undefined {
    const known = this.#knownOf(registry, upstream, policy);
    if (known.inUse >= this.mostOf(registry, upstream, policy)) return undefined;
    known.inUse += 1;
    return () => {
      known.inUse -= 1;
    };
  }

  /** An upstream refused a segment as it wants fewer requests, or no connection more: half as many from now on. */
  refused(registry: string, upstream: string, policy: SplitPolicy): void {
    const known = this.#knownOf(registry, upstream, policy);
    this.#learn(known, Math.floor(Math.max(known.inUse, 1) / 2));
  }

  /** An upstream sends no parts. */
  sendsNoParts(registry: string, upstream: string, policy: SplitPolicy): void {
    this.#learn(this.#knownOf(registry, upstream, policy), 0);
  }

  #learn(known: Known, most: number): void {
    known.most = Math.min(most, this.#learnt(known) ?? most);
    known.until = this.#now() + KNOWN_FOR_MS;
  }

  #learnt(known: Known | undefined): number | undefined {
    return known !== undefined && known.until > this.#now() ? known.most : undefined;
  }

  #knownOf(registry: string, upstream: string, policy: SplitPolicy): Known {
    const key = keyOfHost(registry, upstream, policy);
    return this.#known.get(key) ?? this.#add(key);
  }

  #add(key: string): Known {
    if (this.#known.size >= MOST_KNOWN) {
      for (const [each, { inUse }] of this.#known) {
        if (inUse > 0) continue;
        this.#known.delete(each);
        break;
      }
    }
    const known: Known = { inUse: 0, most: undefined, until: 0 };
    this.#known.set(key, known);
    return known;
  }
}

/** The key of an upstream is JSON, which no host is. */
function keyOfHost(registry: string, upstream: string, { host }: SplitPolicy): string {
  return host ?? keyOf(registry, upstream);
}
