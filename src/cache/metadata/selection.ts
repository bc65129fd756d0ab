import { compileGlob } from '../../lib/index.ts';
import type { Digest, Repository } from '../../oci/index.ts';
import type { MetadataStore, TagEntry, UrlEntry } from '../../store/index.ts';

/** What a command selects: an image, tags of it, one digest of it, or one digest in every repository. */
export interface Selection {
  /** Pattern of `registry/repository`; undefined: every repository. `*` within one component, `**` across. */
  readonly repository?: string | undefined;
  /** Pattern of tags; undefined: the whole image. */
  readonly tag?: string | undefined;
  readonly digest?: Digest | undefined;
}

/** What a command selects: answers of mirrored sites. */
export interface UrlSelection {
  /** Pattern of routes. */
  readonly route: string;
  /** Pattern of paths at the site, beginning with `/`, with or without the query; undefined: all of the route. */
  readonly path: string | undefined;
}

/** Entries listed at a time. */
export const PAGE = 500;

/** The most repositories, or tags, that one command selects. */
export const MAX_SELECTED = 100_000;

const WILD = /[*?]/;

/** The cached repositories that a selection matches. */
export async function selectRepositories(
  { repository, digest }: Selection,
  metadata: MetadataStore,
): Promise<readonly Repository[]> {
  if (repository !== undefined && !WILD.test(repository)) return [splitName(repository)];
  const matches = compileGlob(repository ?? '**');
  const isSelected = (each: Repository): boolean => matches(`${each.registry}/${each.repository}`);
  if (digest !== undefined) return (await metadata.repositoriesOf(digest, MAX_SELECTED)).filter(isSelected);
  const selected: Repository[] = [];
  for await (const page of pages((after: Repository | undefined) =>
    metadata.listRepositories({ after, limit: PAGE }),
  )) {
    selected.push(...page.filter(isSelected));
  }
  return selected.slice(0, MAX_SELECTED);
}

/** The cached tags of a repository that a selection matches. */
export async function selectTags(
  repository: Repository,
  { tag, digest }: Selection,
  metadata: MetadataStore,
): Promise<readonly TagEntry[]> {
  const matches = compileGlob(tag ?? '**');
  const selected: TagEntry[] = [];
  for await (const page of pages((after: TagEntry | undefined) =>
    metadata.listTags({ repository, after, limit: PAGE }),
  )) {
    selected.push(
      ...page.filter((each) => matches(each.tag) && (digest === undefined || each.record.digest === digest)),
    );
  }
  return selected.slice(0, MAX_SELECTED);
}

/** The stored URLs that a selection matches, page by page. */
export async function* selectUrls(
  { route, path }: UrlSelection,
  metadata: MetadataStore,
): AsyncGenerator<readonly UrlEntry[], void> {
  const isRoute = compileGlob(route);
  const isPath = compileGlob(path ?? '**');
  const only = isPattern(route) ? undefined : route;
  const list = (after: UrlEntry | undefined) => metadata.listUrls({ route: only, after, limit: PAGE });
  for await (const page of pages(list)) {
    yield page.filter((entry) => isRoute(entry.route) && pathsOf(entry.url).some(isPath));
  }
}

/** The path of a URL with its query, and without. */
function pathsOf(url: string): readonly string[] {
  const parsed = URL.parse(url);
  return parsed === null ? [url] : [`${parsed.pathname}${parsed.search}`, parsed.pathname];
}

/** Every page of a list; in between, the event loop turns. */
export async function* pages<T>(
  list: (after: T | undefined) => Promise<readonly T[]>,
): AsyncGenerator<readonly T[], void> {
  for (let after: T | undefined; ; ) {
    const page = await list(after);
    yield page;
    after = page.at(-1);
    if (page.length < PAGE) return;
    await new Promise(setImmediate);
  }
}

export function isPattern(text: string): boolean {
  return WILD.test(text);
}

/** The first component is the registry's name, which has no slash in it. */
function splitName(name: string): Repository {
  const slash = name.indexOf('/');
  return { registry: name.slice(0, slash), repository: name.slice(slash + 1) };
}
