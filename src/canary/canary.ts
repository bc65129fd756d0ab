import { randomUUID } from 'node:crypto';
import { Lru } from '../lib/index.ts';
import type { Digest } from '../oci/index.ts';
import { type CanaryContent, canaryIndex, isCanaryTag } from './image.ts';

/** One request for a canary's index. */
interface Sighting {
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly method: string;
  /** The client's address; empty for a Unix socket. */
  readonly client: string;
  /** The first 200 characters; absent where the client sent none. */
  readonly userAgent?: string | undefined;
  /** The registry that the client asked for. */
  readonly registry: string;
  /** The part of the request that named the registry: `ns`, `host`, `prefix`, `path` or `default`. */
  readonly namedBy: string;
  /** Whether it was refused at the gate, as the first request of a client that has to log in is. Absent where it was answered. */
  refused?: true | undefined;
}

/** The answer of `GET /canary/<tag>`. A client that knows the tag may read it, and nothing else leads to it. */
export interface CanaryView {
  /** This process of the server, as it stands in the canary. */
  readonly server: string;
  readonly version: string;
  readonly tag: string;
  /** The digest of this server's canary of this tag. */
  readonly digest: string;
  /** The first requests for it, oldest first. */
  readonly requests: readonly Sighting[];
}

/** Canaries whose requests are remembered. */
const MAX_CANARIES = 256;
/** Requests remembered of each. A pull makes two. */
const MAX_SIGHTINGS = 8;
const MAX_USER_AGENT = 200;

interface Remembered {
  readonly tag: string;
  readonly requests: Sighting[];
}

/** The canaries of one process: who asked for which, in memory and bounded. A restart forgets them. */
export class Canary {
  /** Stands in each canary; it means nothing else. */
  readonly server = randomUUID();
  readonly #byDigest = new Lru<Remembered>({ maxWeight: MAX_CANARIES });

  /** The index of a tag; undefined for a tag that no canary has. */
  byTag(tag: string): CanaryContent | undefined {
    return isCanaryTag(tag) ? canaryIndex(tag, this.server) : undefined;
  }

  /** The index of this digest, if it was asked for by its tag a moment ago: containerd asks for the tag, then the digest. */
  byDigest(digest: Digest): CanaryContent | undefined {
    const remembered = this.#byDigest.get(digest);
    return remembered && canaryIndex(remembered.tag, this.server);
  }

  /**
   * Remembers a request that the gate has not passed yet.
   *
   * @param tag of the canary, where the request named it
   * @returns to be called when it is answered
   */
  note(digest: Digest, tag: string | undefined, seen: Omit<Sighting, 'refused'>): () => void {
    const known = this.#byDigest.get(digest);
    const requests = known?.requests ?? [];
    const sighting: Sighting = { ...seen, userAgent: seen.userAgent?.slice(0, MAX_USER_AGENT), refused: true };
    if (requests.length < MAX_SIGHTINGS) requests.push(sighting);
    if (known === undefined && tag !== undefined) this.#byDigest.set(digest, { tag, requests });
    return () => {
      delete sighting.refused;
    };
  }

  requestsOf(digest: Digest): readonly Sighting[] {
    return this.#byDigest.get(digest)?.requests ?? [];
  }
}

/** What is told of one canary; undefined for a tag that no canary has. */
export function canaryView(canary: Canary, tag: string, version: string): CanaryView | undefined {
  const index = canary.byTag(tag);
  if (index === undefined) return undefined;
  return { server: canary.server, version, tag, digest: index.digest, requests: canary.requestsOf(index.digest) };
}
