import type { LastPull } from '../store/index.ts';
import type { PullUnderWay } from '../telemetry/index.ts';

/** Tags of which the last pull is noted between two writes. */
const MAX_TAGS = 10_000;

/** The last pull of a tag, or of what was asked for by its digest. */
export interface NotedTag {
  at: number;
  readonly pull: LastPull;
  /** It was written, or another pull has taken its place. */
  isOver: boolean;
}

/** A pull, which keeps what was noted of it: most of its requests then need no key. */
interface Noting {
  readonly registry: string;
  readonly repository: string;
  readonly client: string;
  readonly user: string | undefined;
  /** Empty where it began with a digest. */
  readonly tag: string;
  notedTag: NotedTag | undefined;
  notedDigest: NotedTag | undefined;
}

/** When tags were last pulled, and by whom, until that is written. Bounded. */
export class NotedTags {
  readonly #tags = new Map<string, NotedTag>();

  /** @param now milliseconds since the epoch */
  note(pull: Noting, { target, user }: PullUnderWay, now: number): void {
    if (target?.kind !== 'manifest') return;
    const isByTag = target.reference.kind === 'tag';
    const known = isByTag ? pull.notedTag : pull.notedDigest;
    if (known?.isOver === false) {
      known.at = now;
      return;
    }
    const { registry, repository } = pull;
    // What is asked for by a tag belongs to a pull of that tag, and its copy keeps no URL in memory.
    const tag = isByTag ? pull.tag : '';
    const key = keyOf({ registry, repository, tag });
    const other = this.#tags.get(key);
    if (other !== undefined) other.isOver = true;
    else if (this.#tags.size >= MAX_TAGS) return;
    const by = pull.user ?? user ?? pull.client;
    const noted = { at: now, pull: { registry, repository, tag, at: now, by }, isOver: false };
    this.#tags.set(key, noted);
    if (isByTag) pull.notedTag = noted;
    else pull.notedDigest = noted;
  }

  unwritten(): readonly LastPull[] {
    return [...this.#tags.values()].map(({ at, pull }) => ({ ...pull, at }));
  }

  /** Hands out what is to be written, and forgets it. */
  take(): readonly LastPull[] {
    const taken = this.unwritten();
    for (const noted of this.#tags.values()) noted.isOver = true;
    this.#tags.clear();
    return taken;
  }

  /** Takes back what could not be written. */
  putBack(pulls: readonly LastPull[]): void {
    for (const pull of pulls) {
      const key = keyOf(pull);
      if (!this.#tags.has(key)) this.#tags.set(key, { at: pull.at, pull, isOver: false });
    }
  }
}

function keyOf({ registry, repository, tag }: Pick<LastPull, 'registry' | 'repository' | 'tag'>): string {
  return `${registry}/${repository}:${tag}`;
}
