import { compileGlob } from '../lib/index.ts';
import type { Digest, Repository } from '../oci/index.ts';
import type { HostedBlob, HostedStore } from '../store/index.ts';
import type { Telemetry } from '../telemetry/index.ts';
import type { HostingRules } from './rules.ts';

/** Tags of one answer. */
const MAX_TAGS = 100;
/** Names of tags that are compared with a pattern. */
const MAX_NAMES = 10_000;
const PAGE = 1000;

interface HistoryParts {
  readonly records: HostedStore;
  readonly rules: () => HostingRules;
  readonly telemetry: Telemetry;
  readonly now: () => number;
  /** Whether the file of a manifest is there. Rejects where the disk cannot be read. */
  readonly has: (repository: Repository, manifest: HostedBlob) => Promise<boolean>;
}

/** Where a hosted tag pointed, newest first. */
export interface HostedTagHistory {
  readonly repository: Repository;
  readonly tag: string;
  readonly moves: readonly {
    /** Milliseconds since 1970. */
    readonly at: number;
    /** The name of the principal. */
    readonly by: string;
    /** Undefined: the tag was deleted. */
    readonly digest: Digest | undefined;
    readonly isCurrent: boolean;
    /** Undefined where the manifest is not there any more. */
    readonly manifest: { readonly mediaType: string; readonly size: number } | undefined;
  }[];
}

/** Where a tag that was rolled back pointed before; or why it was not. */
export type HostedRollback =
  | { readonly outcome: 'moved'; readonly from: Digest | undefined }
  | { readonly outcome: 'there already' }
  | { readonly outcome: 'never there' | 'deleted' | 'immutable' };

/** What is recorded of hosted tags, and the way back to it. */
export class HostedHistory {
  readonly #parts: HistoryParts;

  constructor(parts: HistoryParts) {
    this.#parts = parts;
  }

  /** @param pattern of tags. @default every tag of the repository; deleted ones too. `omitted`: tags that were left out of a long answer */
  async list(
    repository: Repository,
    pattern = '*',
  ): Promise<{ readonly tags: readonly HostedTagHistory[]; readonly omitted: number }> {
    const names = await this.#namesOf(repository, pattern);
    const tags: HostedTagHistory[] = [];
    for (const tag of names.slice(0, MAX_TAGS)) tags.push(await this.#historyOf(repository, tag));
    return { tags, omitted: Math.max(0, names.length - MAX_TAGS) };
  }

  /** Points a tag to a manifest that it pointed to. @param by the name of who does it */
  async rollBack(
    repository: Repository,
    { tag, digest, by }: { readonly tag: string; readonly digest: Digest; readonly by: string },
  ): Promise<HostedRollback> {
    const { records, rules, telemetry, now, has } = this.#parts;
    const moves = await records.listTagMoves(repository, tag);
    if (!moves.some((move) => move.digest === digest)) return { outcome: 'never there' };
    const manifest = await records.getManifest(repository, digest);
    if (manifest === undefined || !(await has(repository, manifest))) return { outcome: 'deleted' };
    const immutable = rules().isImmutable(repository, tag);
    const done = await records.moveTag(repository, { tag, digest, immutable }, { at: now(), by });
    if (done.outcome === 'missing') return { outcome: 'deleted' };
    if (done.outcome !== 'stored') return { outcome: 'immutable' };
    for (const { from } of done.moved) {
      telemetry.publish('tag.moved', { ...repository, tag, digest, from, by, client: '' });
    }
    const [moved] = done.moved;
    return moved === undefined ? { outcome: 'there already' } : { outcome: 'moved', from: moved.from };
  }

  async #namesOf(repository: Repository, pattern: string): Promise<readonly string[]> {
    const { records } = this.#parts;
    const matches = compileGlob(pattern);
    const names: string[] = [];
    let page = await records.listTagNames(repository, { limit: PAGE });
    for (let seen = page.length; ; seen += page.length) {
      names.push(...page.filter(matches));
      if (page.length < PAGE || seen >= MAX_NAMES) return names;
      page = await records.listTagNames(repository, { after: page.at(-1), limit: PAGE });
    }
  }

  async #historyOf(repository: Repository, tag: string): Promise<HostedTagHistory> {
    const { records } = this.#parts;
    const current = (await records.getTag(repository, tag))?.digest;
    const manifests = new Map<Digest, HostedTagHistory['moves'][number]['manifest']>();
    const moves: HostedTagHistory['moves'][number][] = [];
    for (const { at, by, digest } of await records.listTagMoves(repository, tag)) {
      if (digest !== undefined && !manifests.has(digest)) {
        manifests.set(digest, await records.getManifest(repository, digest));
      }
      const isCurrent = digest !== undefined && digest === current && moves.every((each) => !each.isCurrent);
      moves.push({ at, by, digest, isCurrent, manifest: digest === undefined ? undefined : manifests.get(digest) });
    }
    return { repository, tag, moves };
  }
}
