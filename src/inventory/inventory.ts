import type { CompiledPolicy, TagPins } from '../cache/index.ts';
import type { Home as HostingHome } from '../hosting/index.ts';
import { compileGlob, keyOf } from '../lib/index.ts';
import { type Digest, OciError, type Repository } from '../oci/index.ts';
import { type BlobStore, MAX_PINS, type MetadataStore } from '../store/index.ts';
import { Cursors } from './cursor.ts';
import type {
  Home,
  ImageParts,
  InventoryCaller,
  LastPull,
  LastPulls,
  Pulled,
  RepositoryEntry,
  TagEntry,
} from './entries.ts';
import { createHostedShelf, type HostedParts } from './hosted-shelf.ts';
import { describeImage, type ImageRequest } from './image.ts';
import { Measure } from './measure.ts';
import { createMirroredShelf } from './mirrored-shelf.ts';
import { type Budget, ManifestReader } from './parts.ts';
import { listRepositories } from './repositories.ts';
import type { Root, Shelf, ShelfTag } from './shelf.ts';
import { nextTags, nextUntagged } from './tags.ts';

/** A name as an operator writes it, completed: `nginx` is `docker.io/library/nginx`. */
export interface ParsedImage {
  readonly text: string;
  /** `registry/repository`, or a pattern; undefined for a digest alone. */
  readonly repository: string | undefined;
  readonly tag: string | undefined;
  readonly digest: Digest | undefined;
}

export interface InventoryOptions {
  readonly metadata: MetadataStore;
  readonly store: BlobStore;
  /** What is hosted; undefined where nothing is. */
  readonly hosted: () => HostedParts | undefined;
  readonly homeOf: (repository: Repository) => HostingHome;
  /** Completes a name. @throws {OciError} NAME_INVALID */
  readonly parse: (text: string) => ParsedImage;
  /** What is searched, without the host of this server in front. @default the text as it is */
  readonly withoutHost?: (text: string) => string;
  /** False: the cache is off, and what it knows of names has no content here. @default true */
  readonly mirrors?: (() => boolean) | undefined;
  /** The policy of the cache, which a reload replaces. */
  readonly policy: () => CompiledPolicy;
  readonly pins: Pick<TagPins, 'put' | 'end' | 'list'>;
  /** @default none is known */
  readonly lastPulls?: LastPulls | undefined;
  /** Milliseconds since the epoch. @default the clock */
  readonly now?: (() => number) | undefined;
}

interface PageInput {
  readonly after?: string | undefined;
  readonly limit: number;
  readonly search?: string | undefined;
}

interface PlaceOfPage {
  readonly place: readonly string[] | undefined;
  readonly limit: number;
  readonly words: readonly string[];
}

export interface RepositoriesInput extends PageInput {
  readonly registry?: string | undefined;
  readonly home?: Home | undefined;
}

/** Tags of a repository that are counted. */
const MAX_COUNTED = 1000;

/** Files that one answer reads; another page reads the next. */
const MAX_FILES = 1000;

const REPOSITORIES = 'repositories';

/** What is cached and hosted, as a tree. */
export class Inventory {
  readonly #options: InventoryOptions;
  readonly #cursors = new Cursors();
  readonly #reader = new ManifestReader();
  readonly #mirrored: Shelf;
  #hosted: { readonly of: HostedParts; readonly shelf: Shelf } | undefined;
  #configured: { readonly by: readonly string[]; readonly matches: (name: string) => boolean } | undefined;

  constructor(options: InventoryOptions) {
    const { metadata, store, policy, now = Date.now } = options;
    this.#options = options;
    this.#mirrored = createMirroredShelf({ metadata, store, policy, now });
  }

  /** One page of repositories that the caller sees, by registry, then by name. @throws {OciError} for a foreign cursor */
  async repositories(
    { after, limit, search, registry, home }: RepositoriesInput,
    caller: InventoryCaller,
  ): Promise<{ readonly repositories: readonly RepositoryEntry[]; readonly next?: string }> {
    const { metadata, homeOf } = this.#options;
    const from = after === undefined ? undefined : this.#cursors.open(REPOSITORIES, after);
    const hosting = this.#options.hosted();
    const sources = [
      ...(this.#mirrors
        ? [
            {
              home: 'mirrored' as const,
              search: metadata.searchRepositories.bind(metadata),
              count: metadata.countTags.bind(metadata),
            },
          ]
        : []),
      ...(hosting === undefined
        ? []
        : [
            {
              home: 'hosted' as const,
              search: hosting.records.searchRepositories.bind(hosting.records),
              count: hosting.records.countTags.bind(hosting.records),
            },
          ]),
    ];
    const page = await listRepositories({
      sources: sources.filter((each) => home === undefined || each.home === home),
      isShown: (each) => (homeOf(each.repository) === 'here') === (each.home === 'hosted'),
      caller,
      words: wordsOf(this.#repositorySearched(search)),
      registry,
      after: from && { registry: from[0] ?? '', repository: from[1] ?? '' },
      limit,
    });
    const counts = new Map<string, number>();
    for (const source of sources) {
      const of = page.repositories.filter((each) => each.home === source.home).map(({ repository }) => repository);
      for (const [at, number] of (await source.count(of, MAX_COUNTED)).entries()) {
        counts.set(nameOf(of[at] as Repository), number);
      }
    }
    const pulls = await this.#options.lastPulls?.ofEach(page.repositories.map(({ repository }) => repository));
    const { next } = page;
    return {
      repositories: page.repositories.map(({ repository, home: of }, at) => {
        const name = nameOf(repository);
        return { ...repository, home: of, tags: counts.get(name) ?? 0, ...pulledOf(pulls?.[at]) };
      }),
      ...(next === undefined ? {} : { next: this.#cursors.seal(REPOSITORIES, [next.registry, next.repository]) }),
    };
  }

  /**
   * One page of a repository: its tags in version order, then its manifests without a tag.
   *
   * @throws {OciError} NAME_INVALID; NAME_UNKNOWN where nothing is known of the repository, or the caller does not see it
   */
  async tags(
    { image, after, limit, search }: PageInput & { readonly image: string },
    caller: InventoryCaller,
  ): Promise<{
    readonly image: string;
    readonly home: Home;
    readonly tags: readonly TagEntry[];
    readonly next?: string;
  }> {
    const parsed = this.#options.parse(image);
    const repository = repositoryOf(parsed);
    if (parsed.tag !== undefined || parsed.digest !== undefined) {
      throw new OciError('NAME_INVALID', `${parsed.text} is one image; name its repository, ${nameOf(repository)}`);
    }
    const shelf = await this.#shelfOf(repository, caller);
    const name = nameOf(repository);
    const place = after === undefined ? undefined : this.#cursors.open(name, after);
    const page = await this.#tagPage({ shelf, repository }, { place, limit, words: wordsOf(search) });
    return {
      image: name,
      home: shelf.home,
      tags: await this.#withPulls(repository, page.entries),
      ...(page.next === undefined ? {} : { next: this.#cursors.seal(name, page.next) }),
    };
  }

  /** What is searched may be pasted: the name of an image, with the host of this server in front and its tag behind. */
  #repositorySearched(search: string | undefined): string | undefined {
    const { withoutHost = (text: string) => text } = this.#options;
    return search
      ?.split(/\s+/)
      .map((word) => withoutHost(word).replace(/(?:@.*|:[^/]*)$/, ''))
      .join(' ');
  }

  /** @param how `place`: `tags` or `untagged`, and the last name or digest of the page before */
  async #tagPage(
    { shelf, repository }: { readonly shelf: Shelf; readonly repository: Repository },
    { place: [list = 'tags', last] = [], limit, words }: PlaceOfPage,
  ): Promise<{ readonly entries: readonly TagEntry[]; readonly next?: readonly string[] }> {
    const budget: Budget = { left: MAX_FILES, isSpent: false };
    const describe = await this.#describer(repository, this.#measure(shelf, repository, budget));
    const entries: TagEntry[] = [];
    if (list === 'tags') {
      for (const tag of await nextTags(shelf, repository, { after: last, limit: limit + 1, words })) {
        const shown = entries.at(-1)?.tag;
        if (shown !== undefined && entries.length === limit) return { entries, next: ['tags', shown] };
        const entry = await describe(tag);
        // What this answer had no room to read is read for the next one.
        if (budget.isSpent && shown !== undefined) return { entries, next: ['tags', shown] };
        entries.push(entry);
      }
    }
    // What has no tag has no name in which a word could be.
    if (words.length > 0) return { entries };
    const isFull = entries.length === limit;
    let shown = list === 'untagged' && last !== '' ? last : undefined;
    const rest = await nextUntagged(shelf, repository, {
      after: shown as Digest | undefined,
      // On a full page, only whether another one follows.
      limit: isFull ? 1 : limit - entries.length,
      measureWith: (own) => this.#measure(shelf, repository, own),
    });
    if (isFull) {
      const isLast = rest.found.length === 0 && rest.next === undefined;
      return isLast ? { entries } : { entries, next: ['untagged', ''] };
    }
    for (const root of rest.found) {
      const entry = await describe({ tag: '', ...root });
      if (budget.isSpent && entries.length > 0) return { entries, next: ['untagged', shown ?? ''] };
      entries.push(entry);
      shown = root.digest;
    }
    return rest.next === undefined ? { entries } : { entries, next: ['untagged', rest.next] };
  }

  async #withPulls(repository: Repository, entries: readonly TagEntry[]): Promise<readonly TagEntry[]> {
    const pulls = await this.#options.lastPulls?.ofTags(repository);
    return entries.map((entry) => (entry.tag === '' ? entry : { ...entry, ...pulledOf(pulls?.get(entry.tag)) }));
  }

  /**
   * One image with its parts.
   *
   * @throws {OciError} NAME_INVALID; NAME_UNKNOWN as {@link tags}; MANIFEST_UNKNOWN where the repository has no such image
   */
  async image(text: string, caller: InventoryCaller): Promise<ImageParts> {
    const parsed = this.#options.parse(text);
    const repository = repositoryOf(parsed);
    const shelf = await this.#shelfOf(repository, caller);
    const { tag, digest } = parsed;
    const wanted = digest === undefined ? (tag ?? 'latest') : undefined;
    const isOne = wanted === undefined || !/[*?]/.test(wanted);
    if (!isOne) throw new OciError('NAME_INVALID', `${parsed.text} is more than one tag; name one`);
    const found =
      wanted === undefined
        ? await this.#byDigest(shelf, repository, { tag, digest: digest as Digest })
        : await shelf.tag(repository, wanted);
    const name = wanted === undefined ? `${nameOf(repository)}@${digest}` : `${nameOf(repository)}:${wanted}`;
    if (found === undefined) {
      throw new OciError(
        'MANIFEST_UNKNOWN',
        `${name} is neither cached nor hosted here; \`entrepot list ${nameOf(repository)}\` lists what is`,
      );
    }
    const budget: Budget = { left: MAX_FILES, isSpent: false };
    const measure = this.#measure(shelf, repository, budget);
    const describe = await this.#describer(repository, measure);
    const request: ImageRequest = { repository, shelf, measure, root: found, reader: this.#reader, budget };
    return {
      image: name,
      ...repository,
      home: shelf.home,
      entry: (await this.#withPulls(repository, [await describe(found)]))[0] as TagEntry,
      ...(await describeImage(request)),
    };
  }

  /**
   * Pins a mirrored tag, so that its image is not evicted, or ends its pin.
   *
   * @throws {OciError} NAME_INVALID for what is not one tag; UNSUPPORTED for a hosted one; MANIFEST_UNKNOWN where nothing is
   * known of the tag; DENIED where too many are pinned
   */
  async pin(text: string, pinned: boolean): Promise<{ readonly image: string; readonly changed: boolean }> {
    const { parse, pins, homeOf } = this.#options;
    const parsed = parse(text);
    const repository = repositoryOf(parsed);
    const { tag = 'latest', digest } = parsed;
    if (digest !== undefined) throw new OciError('NAME_INVALID', `${parsed.text} names a digest; name the tag alone`);
    if (/[*?]/.test(tag)) {
      throw new OciError(
        'NAME_INVALID',
        `${parsed.text} is more than one tag; name one, or use a pattern under cache.pin`,
      );
    }
    const image = `${nameOf(repository)}:${tag}`;
    if (!pinned) return { image, changed: await pins.end(repository, tag) };
    if (homeOf(repository) === 'here') {
      throw new OciError(
        'UNSUPPORTED',
        `${image} is hosted here: what is hosted is never evicted, so there is nothing to pin`,
      );
    }
    if ((await this.#mirrored.tag(repository, tag)) === undefined) {
      throw new OciError(
        'MANIFEST_UNKNOWN',
        `${image} is not cached; pull it through this server first, and pin it then`,
      );
    }
    const outcome = await pins.put(repository, tag);
    if (outcome === 'too many') {
      throw new OciError(
        'DENIED',
        `${MAX_PINS} tags are pinned, which is the most; end a pin with \`entrepot unpin\`, or pin by a pattern under cache.pin`,
      );
    }
    return { image, changed: outcome === 'pinned' };
  }

  /** @throws {OciError} NAME_UNKNOWN, the same whether there is nothing or the caller does not see it */
  async #shelfOf(repository: Repository, caller: InventoryCaller): Promise<Shelf> {
    const shelf = this.#shelf(repository);
    const isSeen = caller.seesAll || (await caller.sees(repository));
    if (!isSeen || shelf === undefined || !(await shelf.has(repository))) {
      throw new OciError(
        'NAME_UNKNOWN',
        `${nameOf(repository)} is neither cached nor hosted here; \`entrepot list\` shows what is`,
      );
    }
    return shelf;
  }

  get #mirrors(): boolean {
    return this.#options.mirrors?.() ?? true;
  }

  /** What was mirrored under a name that is hosted now is hidden, as it is to clients. */
  #shelf(repository: Repository): Shelf | undefined {
    if (this.#options.homeOf(repository) !== 'here') return this.#mirrors ? this.#mirrored : undefined;
    const of = this.#options.hosted();
    if (of === undefined) return undefined;
    if (this.#hosted?.of !== of) this.#hosted = { of, shelf: createHostedShelf(of) };
    return this.#hosted.shelf;
  }

  async #byDigest(
    shelf: Shelf,
    repository: Repository,
    { tag, digest }: { readonly tag: string | undefined; readonly digest: Digest },
  ): Promise<ShelfTag | undefined> {
    const named = tag === undefined ? undefined : await shelf.tag(repository, tag);
    if (named?.digest === digest) return named;
    const root = await shelf.manifest(repository, digest);
    return root && { tag: '', ...root };
  }

  #measure(shelf: Shelf, repository: Repository, budget: Budget): Measure {
    const { keepsPlatform } = this.#options.policy();
    // What was pushed is whole, whichever platforms of mirrored images are kept.
    const keeps = shelf.home === 'hosted' ? () => true : keepsPlatform;
    return new Measure({ shelf, repository, reader: this.#reader, keepsPlatform: keeps, budget });
  }

  /** What describes tags and manifests of one repository. */
  async #describer(
    repository: Repository,
    measure: Measure,
  ): Promise<(tag: ShelfTag | (Root & { readonly tag: '' })) => Promise<TagEntry>> {
    const pinned = new Set(
      (await this.#options.pins.list()).map((each) =>
        keyOf(each.repository.registry, each.repository.repository, each.tag),
      ),
    );
    const name = nameOf(repository);
    const isHosted = this.#options.homeOf(repository) === 'here';
    return async (found) => {
      const tag: ShelfTag = found;
      const { bytes, storedBytes, complete, platforms, storedPlatforms } = await measure.image(tag);
      const { checkedAt, freshUntil, hold } = tag;
      const reference = tag.tag === '' ? `${name}@${tag.digest}` : `${name}:${tag.tag}`;
      const byOperator = pinned.has(keyOf(repository.registry, repository.repository, tag.tag));
      const byConfiguration = tag.tag !== '' && this.#isPinned(reference);
      const pin = byOperator ? ('operator' as const) : byConfiguration ? ('configuration' as const) : undefined;
      return {
        tag: tag.tag,
        digest: tag.digest,
        mediaType: tag.mediaType,
        ...(bytes === undefined ? {} : { bytes }),
        storedBytes,
        complete,
        platforms,
        storedPlatforms,
        ...(checkedAt === undefined ? {} : { checkedAt }),
        ...(freshUntil === undefined ? {} : { freshUntil }),
        ...(hold === undefined ? {} : { held: true as const }),
        ...(pin === undefined || isHosted ? {} : { pinned: pin }),
      };
    };
  }

  /** Whether the configuration pins a tag: `registry/repository:tag`. */
  #isPinned(name: string): boolean {
    const { pin } = this.#options.policy();
    if (this.#configured?.by !== pin) {
      const patterns = pin.map(compileGlob);
      this.#configured = { by: pin, matches: (text) => patterns.some((matches) => matches(text)) };
    }
    return this.#configured.matches(name);
  }
}

/** @throws {OciError} NAME_INVALID for a pattern, and for a digest alone */
function repositoryOf({ text, repository }: ParsedImage): Repository {
  if (repository === undefined) {
    throw new OciError(
      'NAME_INVALID',
      `${text} is a digest alone; name its repository: docker.io/library/nginx@sha256:…`,
    );
  }
  if (/[*?]/.test(repository)) {
    throw new OciError(
      'NAME_INVALID',
      `${text} is more than one repository; name one, such as docker.io/library/nginx`,
    );
  }
  const slash = repository.indexOf('/');
  return { registry: repository.slice(0, slash), repository: repository.slice(slash + 1) };
}

function nameOf({ registry, repository }: Repository): string {
  return `${registry}/${repository}`;
}

/** The longest words first: they are rarest. */
function wordsOf(search: string | undefined): readonly string[] {
  const words = (search ?? '')
    .toLowerCase()
    .split(/\s+/)
    .filter((word) => word !== '');
  return words.toSorted((a, b) => b.length - a.length);
}

function pulledOf(pull: LastPull | undefined): Pulled {
  return pull === undefined ? {} : { pulledAt: pull.at, pulledBy: pull.by };
}
