import type { Digest, Repository } from '../../oci/index.ts';
import { OciError } from '../../oci/index.ts';
import type { HostedManifest, HostedStore } from '../../store/index.ts';
import type { HostingRules } from '../rules.ts';

interface HostedListsOptions {
  readonly records: HostedStore;
  readonly rules: () => HostingRules;
}

/** One page of a list; `next`: its last entry, where there are more. */
export interface ListPage<Entry, Key extends string = string> {
  readonly entries: readonly Entry[];
  readonly next: Key | undefined;
}

/** Referrers on one page. */
const MAX_REFERRERS = 100;
/** Bytes of annotations on one page of referrers, about: clients read lists of 4 MiB (distribution-spec, "Pushing Manifests"). */
const MAX_REFERRER_BYTES = 2 * 1024 * 1024;
/** Referrers that are read at once: each may have annotations of some megabytes. */
const REFERRERS_AT_ONCE = 10;
/** Repositories that are read at once. */
const REPOSITORIES_AT_ONCE = 500;

/** The lists of hosted repositories: tags, referrers, the repositories themselves. */
export class HostedLists {
  readonly #options: HostedListsOptions;

  constructor(options: HostedListsOptions) {
    this.#options = options;
  }

  /** Tags, byte by byte. @throws {OciError} NAME_UNKNOWN where nothing was ever pushed to the repository */
  async tags(
    repository: Repository,
    { after, limit }: { readonly after: string | undefined; readonly limit: number },
  ): Promise<ListPage<string>> {
    const { records } = this.#options;
    const tags = limit === 0 ? [] : await records.listTags(repository, { after, limit: limit + 1 });
    if (tags.length === 0 && !(await records.hasRepository(repository))) {
      throw new OciError('NAME_UNKNOWN', `nothing was pushed to ${repository.registry}/${repository.repository}`);
    }
    return pageOf(
      tags.map(({ tag }) => tag),
      limit,
      (tag) => tag,
    );
  }

  /**
   * The manifests whose subject is a digest, by their digests; none in an unknown repository.
   *
   * Old clients push an index under the tag `sha256-…` that lists them (distribution-spec, "Referrers Tag Schema"). What such a tag lists
   * was pushed here too, with its subject in it, so it is in this list already, with the type that the manifest itself gives.
   */
  async referrers(
    repository: Repository,
    subject: Digest,
    { after, artifactType }: { readonly after: Digest | undefined; readonly artifactType: string | undefined },
  ): Promise<ListPage<HostedManifest, Digest>> {
    const entries: HostedManifest[] = [];
    let from = after;
    for (let bytes = 0; bytes < MAX_REFERRER_BYTES && entries.length < MAX_REFERRERS; ) {
      const page = { after: from, limit: REFERRERS_AT_ONCE, artifactType };
      const found = await this.#options.records.listReferrers(repository, subject, page);
      entries.push(...found);
      bytes += found.reduce((sum, each) => sum + bytesOf(each), 0);
      from = found.at(-1)?.digest;
      if (found.length < REFERRERS_AT_ONCE || from === undefined) return { entries, next: undefined };
    }
    // The last page may be empty, which is no harm: a look at the next one would cost as much.
    return { entries, next: from };
  }

  /** The hosted repositories of a registry that are shown, byte by byte. */
  async repositories(
    registry: string,
    {
      after = '',
      limit,
      isShown,
    }: {
      readonly after: string | undefined;
      readonly limit: number;
      readonly isShown: (repository: Repository) => boolean;
    },
  ): Promise<ListPage<string>> {
    const { records, rules } = this.#options;
    const names: string[] = [];
    let from: Repository = { registry, repository: after };
    while (names.length <= limit) {
      const found = await records.listRepositories({ after: from, limit: REPOSITORIES_AT_ONCE });
      const ours = found.filter((each) => each.registry === registry);
      // What was hosted once is not shown after a change of the patterns.
      const shown = ours.filter((each) => rules().homeOf(each) === 'here' && isShown(each));
      names.push(...shown.map(({ repository }) => repository));
      const last = ours.at(-1);
      if (last === undefined || ours.length < REPOSITORIES_AT_ONCE) break;
      from = last;
    }
    return pageOf(names, limit, (name) => name);
  }
}

/** The first `limit` of a list, one more of which was asked for. */
function pageOf<Entry>(found: readonly Entry[], limit: number, keyOf: (entry: Entry) => string): ListPage<Entry> {
  const entries = found.slice(0, limit);
  const last = entries.at(-1);
  return { entries, next: found.length > limit && last !== undefined ? keyOf(last) : undefined };
}

function bytesOf({ annotations = {} }: HostedManifest): number {
  let bytes = 0;
  for (const [name, value] of Object.entries(annotations)) bytes += name.length + value.length;
  return bytes;
}
