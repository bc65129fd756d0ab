import type { LastPull } from '../store/index.ts';
import type { PullUnderWay } from '../telemetry/index.ts';
import type { Pull } from './pull.ts';

/** Tags of which the last pull is noted between two writes. */
const MAX_TAGS = 10_000;

interface NotedTag {
  at: number;
  readonly pull: LastPull;
  isTaken: boolean;
}

/** When tags were last pulled, and by whom, until that is written. Bounded. */
export class NotedTags {
  readonly #tags = new Map<string, NotedTag>();
  #last: { readonly pull: Pull; readonly tag: string; readonly noted: NotedTag } | undefined;

  /** @param now milliseconds since the epoch */
  note(pull: Pull, { target, user, client }: PullUnderWay, now: number): void {
    if (target?.kind !== 'manifest') return;
    const tag = target.reference.kind === 'tag' ? target.reference.tag : '';
    const last = this.#last;
    if (last !== undefined && last.pull === pull && last.tag === tag && !last.noted.isTaken) {
      last.noted.at = now;
      return;
    }
    const { registry, repository } = pull;
    const key = keyOf({ registry, repository, tag });
    if (this.#tags.size >= MAX_TAGS && !this.#tags.has(key)) return;
    const by = pull.user ?? user ?? client;
    const noted = { at: now, pull: { registry, repository, tag, at: now, by }, isTaken: false };
    this.#tags.set(key, noted);
    this.#last = { pull, tag, noted };
  }

  unwritten(): readonly LastPull[] {
    return [...this.#tags.values()].map(({ at, pull }) => ({ ...pull, at }));
  }

  /** Hands out what is to be written, and forgets it. */
  take(): readonly LastPull[] {
    const taken = this.unwritten();
    for (const noted of this.#tags.values()) noted.isTaken = true;
    this.#tags.clear();
    this.#last = undefined;
    return taken;
  }

  /** Takes back what could not be written. */
  putBack(pulls: readonly LastPull[]): void {
    for (const pull of pulls) {
      const key = keyOf(pull);
      if (!this.#tags.has(key)) this.#tags.set(key, { at: pull.at, pull, isTaken: false });
    }
  }
}

function keyOf({ registry, repository, tag }: Pick<LastPull, 'registry' | 'repository' | 'tag'>): string {
  return `${registry}/${repository}:${tag}`;
}
