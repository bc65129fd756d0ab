import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Digest, Repository } from '../../oci/index.ts';
import { type FoundRepositories, type Page, type RepositorySearch, searchTable } from '../metadata/index.ts';
import type { HostedDatabase, Statements } from './database.ts';
import { HostedStoreError } from './error.ts';
import {
  type ChangeOptions,
  type CollectedRecords,
  type CollectHostedOptions,
  type DeletedManifest,
  type HostedBlob,
  type HostedManifest,
  type HostedMove,
  type HostedStore,
  type HostedTag,
  type HostedUsage,
  MAX_HOSTED_MOVES,
  type MovedTag,
  type NewManifest,
  type PutManifestOptions,
  type PutManifestOutcome,
  type TagChange,
} from './hosted-store.ts';
import { type Row, RowReader, repositoryOf } from './rows.ts';
import { decideTags } from './tag-changes.ts';
import { isUseNoted } from './uses.ts';

/** Repositories that a mount looks at before the event loop turns. */
const MOUNT_PAGE = 256;

/** Repositories whose tags are counted before the event loop turns. */
const COUNT_PAGE = 128;

/** What a repository's row says. */
interface Known {
  readonly id: number;
  readonly digests: number;
  readonly bytes: number;
}

/** A {@link HostedStore} in a file. Made by `openHostedStore`. */
export class SqliteHostedStore implements HostedStore {
  readonly #database: HostedDatabase;
  readonly #file: string;
  readonly #onWarning: (message: string) => void;
  readonly #read: RowReader;
  /** When a record was last used without a note of it: the disk was full, or had failed. */
  #unnotedUseAt = Number.NEGATIVE_INFINITY;

  constructor(
    database: HostedDatabase,
    { file, onWarning }: { readonly file: string; readonly onWarning: (message: string) => void },
  ) {
    this.#database = database;
    this.#file = file;
    this.#onWarning = onWarning;
    this.#read = new RowReader(file);
  }

  async hasRepository(repository: Repository): Promise<boolean> {
    return this.#find(repository) !== undefined;
  }

  async listRepositories({ after, limit }: Page<Repository>): Promise<readonly Repository[]> {
    return this.#database
      .rows('listRepositories', after?.registry ?? '', after?.repository ?? '', limit)
      .map(repositoryOf);
  }

  searchRepositories(search: RepositorySearch): Promise<FoundRepositories> {
    return searchTable(search, {
      endOfPiece: (...from) => {
        const row = this.#database.row('endOfPiece', ...from);
        return row && repositoryOf(row);
      },
      search: (...values) => this.#database.rows('searchRepositories', ...values).map(repositoryOf),
    });
  }

  async countTags(repositories: readonly Repository[], most: number): Promise<readonly number[]> {
    const counts: number[] = [];
    for (const repository of repositories) {
      if (counts.length > 0 && counts.length % COUNT_PAGE === 0) await nextTurn();
      const known = this.#find(repository);
      counts.push(known === undefined ? 0 : Number(this.#database.row('countTags', known.id, most)?.['tags']));
    }
    return counts;
  }

  async usage(repository: Repository): Promise<HostedUsage> {
    const { digests, bytes } = this.#find(repository) ?? { digests: 0, bytes: 0 };
    return { digests, bytes };
  }

  async totals(): Promise<HostedUsage & { readonly repositories: number }> {
    const row = this.#database.row('totals');
    if (row === undefined) throw new HostedStoreError(this.#file, { found: 'its totals are missing' });
    const { digests, bytes, repositories } = row as Record<string, number>;
    return { digests: digests ?? 0, bytes: bytes ?? 0, repositories: repositories ?? 0 };
  }

  putBlob(
    repository: Repository,
    blob: HostedBlob,
    how: { readonly at: number; readonly quota?: number | undefined },
  ): Promise<'stored' | 'over quota'> {
    return this.#database.change(() => this.#putBlob(repository, blob, how));
  }

  async getBlob(repository: Repository, digest: Digest): Promise<HostedBlob | undefined> {
    const row = this.#in(repository, 'getBlob', digest);
    return row && this.#read.blob(row);
  }

  async useBlob(repository: Repository, digest: Digest, at: number): Promise<HostedBlob | undefined> {
    const row = this.#in(repository, 'getBlob', digest);
    if (row !== undefined) this.#noteUse('useBlob', repository, row, at);
    return row && this.#read.blob(row);
  }

  async mountBlob(
    repository: Repository,
    digest: Digest,
    how: {
      readonly from: Repository | ((candidate: Repository) => boolean);
      readonly at: number;
      readonly quota?: number | undefined;
    },
  ): Promise<HostedBlob | 'over quota' | undefined> {
    const { from } = how;
    if (typeof from !== 'function') return this.#database.change(() => this.#mountFrom(from, repository, digest, how));
    let after = 0;
    for (;;) {
      const candidates = this.#database.rows('listHoldersOfBlob', digest, after, MOUNT_PAGE);
      for (const row of candidates) {
        after = row['id'] as number;
        const candidate = repositoryOf(row);
        if (!from(candidate)) continue;
        const mounted = await this.#database.change(() => this.#mountFrom(candidate, repository, digest, how));
        if (mounted !== undefined) return mounted;
      }
      if (candidates.length < MOUNT_PAGE) return undefined;
      await nextTurn();
    }
  }

  deleteBlob(repository: Repository, digest: Digest): Promise<'deleted' | 'in use' | undefined> {
    return this.#database.change(() => {
      const known = this.#find(repository);
      const row = known && this.#database.row('getBlob', known.id, digest);
      if (known === undefined || row === undefined) return undefined;
      if (Number(row['needs']) > 0) return 'in use';
      this.#database.put('deleteBlob', known.id, digest);
      return 'deleted';
    });
  }

  putManifest(repository: Repository, manifest: NewManifest, how: PutManifestOptions): Promise<PutManifestOutcome> {
    return this.#database.change(() => {
      const { digest, references } = manifest;
      const { tags, sparse = [], quota, at, by } = how;
      const known = this.#find(repository);
      const missing = references.filter(({ kind, digest: named }) => {
        if (sparse.includes(kind)) return false;
        return (
          known === undefined || !this.#database.has(kind === 'blob' ? 'getBlob' : 'findManifest', known.id, named)
        );
      });
      if (missing.length > 0) return { outcome: 'missing', references: missing.map((each) => each.digest) };
      if (this.#isOver(known, manifest, quota)) return { outcome: 'over quota' };
      const { refusal, moved } = decideTags(tags, digest, (tag) => known && this.#pointed(known.id, tag));
      if (refusal !== undefined) return refusal;

      const id = known?.id ?? this.#add(repository);
      const isNew = this.#putManifest(id, manifest, at);
      this.#move(id, moved, { digest, at, by });
      return { outcome: 'stored', isNew, moved };
    });
  }

  async getManifest(repository: Repository, digest: Digest): Promise<HostedManifest | undefined> {
    const row = this.#in(repository, 'getManifest', digest);
    return row && this.#read.manifest(row);
  }

  async useManifest(repository: Repository, digest: Digest, at: number): Promise<HostedManifest | undefined> {
    const row = this.#in(repository, 'getManifest', digest);
    if (row !== undefined) this.#noteUse('useManifest', repository, row, at);
    return row && this.#read.manifest(row);
  }

  deleteManifest(
    repository: Repository,
    digest: Digest,
    { at, by, immutable }: ChangeOptions & { readonly immutable: (tag: string) => boolean },
  ): Promise<DeletedManifest | undefined> {
    return this.#database.change(() => {
      const known = this.#find(repository);
      const row = known && this.#database.row('getManifest', known.id, digest);
      if (known === undefined || row === undefined) return undefined;
      const needing = this.#database.row('namedBy', known.id, digest);
      if (needing !== undefined) return { outcome: 'needed', by: this.#read.digest(needing) };
      const tags = this.#database.rows('tagsOf', known.id, digest).map((each) => each['tag'] as string);
      const kept = tags.find(immutable);
      if (kept !== undefined) return { outcome: 'immutable', tag: kept };
      const moved = tags.map((tag) => ({ tag, from: digest }));
      this.#move(known.id, moved, { digest: undefined, at, by });
      this.#database.put('deleteManifest', known.id, digest);
      return { outcome: 'deleted', manifest: this.#read.manifest(row), tags };
    });
  }

  async listBlobs(repository: Repository, { after, limit }: Page<Digest>): Promise<readonly HostedBlob[]> {
    const known = this.#find(repository);
    if (known === undefined) return [];
    return this.#database.rows('listBlobs', known.id, after ?? '', limit).map((row) => this.#read.blob(row));
  }

  async listManifests(repository: Repository, { after, limit }: Page<Digest>): Promise<readonly HostedManifest[]> {
    const known = this.#find(repository);
    if (known === undefined) return [];
    return this.#database.rows('listManifests', known.id, after ?? '', limit).map((row) => this.#read.manifest(row));
  }

  async listReferrers(
    repository: Repository,
    subject: Digest,
    { after, limit, artifactType }: Page<Digest> & { readonly artifactType?: string | undefined },
  ): Promise<readonly HostedManifest[]> {
    const known = this.#find(repository);
    if (known === undefined) return [];
    const from = [known.id, subject, after ?? ''] as const;
    const rows =
      artifactType === undefined
        ? this.#database.rows('listReferrers', ...from, limit)
        : this.#database.rows('listReferrersOfType', ...from, artifactType, limit);
    return rows.map((row) => this.#read.manifest(row));
  }

  async getTag(repository: Repository, tag: string): Promise<HostedTag | undefined> {
    const row = this.#in(repository, 'getTag', tag);
    return row && this.#read.tag(row);
  }

  async listTags(repository: Repository, { after, limit }: Page<string>): Promise<readonly HostedTag[]> {
    const known = this.#find(repository);
    if (known === undefined) return [];
    return this.#database.rows('listTags', known.id, after ?? '', limit).map((row) => this.#read.tag(row));
  }

  moveTag(repository: Repository, change: TagChange, { at, by }: ChangeOptions): Promise<PutManifestOutcome> {
    return this.#database.change(() => {
      const { digest } = change;
      const known = this.#find(repository);
      if (known === undefined || !this.#database.has('findManifest', known.id, digest)) {
        return { outcome: 'missing', references: [digest] };
      }
      const { refusal, moved } = decideTags([change], digest, (tag) => this.#pointed(known.id, tag));
      if (refusal !== undefined) return refusal;
      this.#move(known.id, moved, { digest, at, by });
      return { outcome: 'stored', isNew: false, moved };
    });
  }

  deleteTag(
    repository: Repository,
    tag: string,
    { at, by, expected }: ChangeOptions & { readonly expected?: Digest | undefined },
  ): Promise<HostedTag | 'conflict' | undefined> {
    return this.#database.change(() => {
      const known = this.#find(repository);
      const row = known && this.#database.row('getTag', known.id, tag);
      if (known === undefined || row === undefined) return undefined;
      const found = this.#read.tag(row);
      if (expected !== undefined && expected !== found.digest) return 'conflict';
      this.#move(known.id, [{ tag, from: found.digest }], { digest: undefined, at, by });
      return found;
    });
  }

  async listTagMoves(repository: Repository, tag: string): Promise<readonly HostedMove[]> {
    const known = this.#find(repository);
    return known === undefined
      ? []
      : this.#database.rows('listMoves', known.id, tag).map((row) => this.#read.move(row));
  }

  async listTagNames(repository: Repository, { after, limit }: Page<string>): Promise<readonly string[]> {
    const known = this.#find(repository);
    if (known === undefined) return [];
    return this.#database.rows('listTagNames', known.id, after ?? '', limit).map((row) => row['tag'] as string);
  }

  async isReferenced(digest: Digest): Promise<boolean> {
    if (this.#database.has('isReferenced', digest)) return true;
    // The caller deletes the file: the record must not come back in a power cut.
    await this.#database.settle();
    return this.#database.has('isReferenced', digest);
  }

  async repositoriesOf(digest: Digest, limit: number): Promise<readonly Repository[]> {
    return this.#database.rows('repositoriesOf', digest, limit).map(repositoryOf);
  }

  collect(options: CollectHostedOptions): Promise<CollectedRecords> {
    return this.#database.change(() => {
      const removed = [...this.#collectManifests(options)];
      removed.push(...this.#collectBlobs(options, options.limit - removed.length));
      const digests = new Set(removed.map(({ digest }) => digest));
      return { removed, unreferenced: [...digests].filter((digest) => !this.#database.has('isReferenced', digest)) };
    });
  }

  async listDigests({ after, limit }: Page<Digest>): Promise<readonly HostedBlob[]> {
    return this.#database.rows('listDigests', after ?? '', limit).map((row) => this.#read.blob(row));
  }

  backUp(file: string): Promise<void> {
    return this.#database.backUp(file);
  }

  close(): Promise<void> {
    return this.#database.close();
  }

  #putBlob(
    repository: Repository,
    blob: HostedBlob,
    { at, quota }: { readonly at: number; readonly quota?: number | undefined },
  ): 'stored' | 'over quota' {
    const known = this.#find(repository);
    if (this.#isOver(known, blob, quota)) return 'over quota';
    const id = known?.id ?? this.#add(repository);
    const { digest, size } = blob;
    if (known !== undefined && this.#database.has('getBlob', id, digest)) this.#database.put('useBlob', id, digest, at);
    else this.#database.put('addBlob', id, digest, size, at);
    return 'stored';
  }

  #mountFrom(
    source: Repository,
    target: Repository,
    digest: Digest,
    how: { readonly at: number; readonly quota?: number | undefined },
  ): HostedBlob | 'over quota' | undefined {
    const row = this.#in(source, 'getBlob', digest);
    if (row === undefined) return undefined;
    const blob = this.#read.blob(row);
    return this.#putBlob(target, blob, how) === 'stored' ? blob : 'over quota';
  }

  /** False where it was there. */
  #putManifest(repository: number, manifest: NewManifest, at: number): boolean {
    const { digest, mediaType, size, subject, artifactType, annotations, references } = manifest;
    const before = this.#database.row('findManifest', repository, digest);
    // What is read from the bytes depends on their media type alone.
    if (before?.['media_type'] === mediaType) {
      this.#database.put('useManifest', repository, digest, at);
      return false;
    }
    if (before !== undefined) this.#database.put('deleteManifest', repository, digest);
    const { pushed_at: pushedAt = at, used_at: usedAt = at } = (before ?? {}) as Record<string, number>;
    const texts = [
      subject ?? null,
      artifactType ?? null,
      annotations === undefined ? null : JSON.stringify(annotations),
    ];
    const id = this.#database.put(
      'addManifest',
      repository,
      digest,
      mediaType,
      size,
      pushedAt,
      ...texts,
      Math.max(usedAt, at),
    );
    for (const { digest: named } of references) this.#database.put('addNamed', id, repository, named);
    return before === undefined;
  }

  #move(repository: number, moved: readonly MovedTag[], to: HostedMove): void {
    const { at, by } = to;
    const digest = to.digest ?? null;
    for (const { tag } of moved) {
      const number = Number(this.#database.row('findTag', repository, tag)?.['moves'] ?? 0) + 1;
      this.#database.put('pointTag', repository, tag, digest, at, number);
      this.#database.put('addMove', repository, tag, number, digest, at, by);
      if (number > MAX_HOSTED_MOVES) this.#database.put('trimMoves', repository, tag, number - MAX_HOSTED_MOVES);
    }
  }

  *#collectManifests({ untaggedSince, limit }: CollectHostedOptions): Generator<Collected> {
    if (untaggedSince === undefined) return;
    let left = limit;
    let after = 0;
    let next: Row | undefined;
    while (left > 0 && (next = this.#database.row('nextWithUnneeded', after)) !== undefined) {
      after = next['repository'] as number;
      const repository = repositoryOf(this.#database.row('nameOfRepository', after) ?? {});
      const since = untaggedSince(repository) ?? Number.NEGATIVE_INFINITY;
      if (since <= this.#unnotedUseAt) continue;
      // One that is removed may have been what kept another.
      for (;;) {
        const rows = this.#database.rows('unneededManifests', after, since, left);
        for (const row of rows) {
          this.#database.put('deleteManifest', after, row['digest'] as string);
          yield { repository, ...this.#read.blob(row) };
        }
        left -= rows.length;
        if (rows.length === 0 || left === 0) break;
      }
    }
  }

  *#collectBlobs({ unusedSince }: CollectHostedOptions, limit: number): Generator<Collected> {
    if (unusedSince <= this.#unnotedUseAt || limit <= 0) return;
    for (const row of this.#database.rows('unneededBlobs', unusedSince, limit)) {
      const id = row['repository'] as number;
      this.#database.put('deleteBlob', id, row['digest'] as string);
      yield { repository: repositoryOf(this.#database.row('nameOfRepository', id) ?? {}), ...this.#read.blob(row) };
    }
  }

  /**
   * Writes that a record was used, where the written use is old. The answer does not wait for it, and does not need it: where it cannot be
   * written, the collection takes nothing that it would have protected.
   */
  #noteUse(statement: 'useBlob' | 'useManifest', repository: Repository, row: Row, at: number): void {
    const known = this.#find(repository);
    if (known === undefined || !isUseNoted(row['used_at'] as number, at)) return;
    this.#database.changeUnawaited(
      () => this.#database.put(statement, known.id, row['digest'] as string, at),
      (error) => {
        // Not once for each request while it lasts.
        if (isUseNoted(this.#unnotedUseAt, at)) this.#onWarning((error as Error).message);
        this.#unnotedUseAt = Math.max(this.#unnotedUseAt, at);
      },
    );
  }

  #isOver(known: Known | undefined, { digest, size }: HostedBlob, quota: number | undefined): boolean {
    if (quota === undefined || (known?.bytes ?? 0) + size <= quota) return false;
    return (
      known === undefined ||
      !(this.#database.has('getBlob', known.id, digest) || this.#database.has('findManifest', known.id, digest))
    );
  }

  #find({ registry, repository }: Repository): Known | undefined {
    return this.#database.row('findRepository', registry, repository) as unknown as Known | undefined;
  }

  #add({ registry, repository }: Repository): number {
    return this.#database.put('addRepository', registry, repository);
  }

  /** Where a tag points; undefined where it does not exist. */
  #pointed(repository: number, tag: string): Digest | undefined {
    const row = this.#database.row('findTag', repository, tag);
    return row === undefined || row['digest'] === null ? undefined : this.#read.digest(row);
  }

  /** A row of a repository, by a digest or a tag. */
  #in(repository: Repository, statement: keyof Statements, key: string): Row | undefined {
    const known = this.#find(repository);
    return known && this.#database.row(statement, known.id, key);
  }
}

type Collected = CollectedRecords['removed'][number];
