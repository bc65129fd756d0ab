import type { ImageAnswer, RepositoryEntry, TagListEntry } from '../../../admin/index.ts';
import { formatBytes } from '../../../telemetry/index.ts';
import { count, formatInstant, formatTable, shortDigest } from '../../format.ts';
import { describeHold } from './hold-text.ts';

// Columns of one width come first and the name last: a list is printed as it comes, and a long name is not cut.

/** The columns of a list of repositories. */
export const REPOSITORY_HEAD = `${'HOME'.padEnd(8)}  ${'TAGS'.padStart(5)}  ${'LAST PULL'.padEnd(10)}  REPOSITORY`;

/** Tags that a repository is counted up to. */
const MAX_COUNTED = 1000;

export function formatRepositories(entries: readonly RepositoryEntry[]): readonly string[] {
  return entries.map(({ registry, repository, home, tags, pulledAt }) => {
    const number = tags >= MAX_COUNTED ? `${MAX_COUNTED}+` : `${tags}`;
    return `${home.padEnd(8)}  ${number.padStart(5)}  ${dayOf(pulledAt).padEnd(10)}  ${registry}/${repository}`;
  });
}

/** The columns of a list of tags. */
export const TAG_HEAD = [
  'SIZE'.padStart(9),
  'STORED'.padStart(9),
  'PLATFORMS'.padEnd(18),
  'LAST PULL'.padEnd(10),
  'KEPT'.padEnd(6),
  'TAG',
].join('  ');

export function formatTags(entries: readonly TagListEntry[]): readonly string[] {
  return entries.map((entry) => {
    const { tag, digest, bytes, pulledAt, held, pinned } = entry;
    const kept = held === true ? 'held' : pinned === undefined ? '' : 'pinned';
    return [
      (bytes === undefined ? '?' : formatBytes(bytes)).padStart(9),
      storedText(entry).padStart(9),
      platformsText(entry).padEnd(18),
      dayOf(pulledAt).padEnd(10),
      kept.padEnd(6),
      tag === '' ? `@${digest}` : tag,
    ].join('  ');
  });
}

/** What is stored of one image, with its parts. */
export function formatImage({ image, home, entry, children, layers, referrers, created, hold }: ImageAnswer): string {
  const { digest, mediaType, bytes, checkedAt, freshUntil, pinned, pulledAt, pulledBy } = entry;
  const facts: (readonly [name: string, value: string | undefined])[] = [
    ['digest', digest],
    ['type', mediaType],
    ['home', home],
    ['size', bytes === undefined ? undefined : formatBytes(bytes)],
    ['stored', storedText(entry)],
    ['platforms', entry.platforms.length === 0 ? undefined : entry.platforms.join(', ')],
    ['created', created],
    [home === 'hosted' ? 'pushed' : 'confirmed', checkedAt === undefined ? undefined : formatInstant(checkedAt)],
    ['fresh until', freshUntil === undefined ? undefined : formatInstant(freshUntil)],
    [
      'last pull',
      pulledAt === undefined
        ? undefined
        : `${formatInstant(pulledAt)}${pulledBy === undefined ? '' : ` by ${pulledBy}`}`,
    ],
    ['hold', hold === undefined ? undefined : describeHold(hold)],
    ['pinned', pinned === undefined ? undefined : pinned === 'operator' ? 'by an operator' : 'by cache.pin'],
  ];
  const lines = [
    image,
    ...facts.flatMap(([name, value]) => (value === undefined ? [] : [`  ${name.padEnd(12)}${value}`])),
  ];
  const rowOf = (node: ImageAnswer['children'][number]): readonly string[] => [
    storedText(node),
    node.bytes === undefined ? '?' : formatBytes(node.bytes),
    shortDigest(node.digest),
    node.platform ?? node.artifactType ?? node.mediaType,
  ];
  const table = (title: string, rows: readonly (readonly string[])[]): readonly string[] =>
    rows.length === 0 ? [] : ['', `${title}:`, ...formatTable(rows).map((line) => `  ${line}`)];
  return `${[
    ...lines,
    ...table(count(children.length, 'image'), children.map(rowOf)),
    ...table(
      count(layers.length, 'blob'),
      layers.map(({ digest: of, mediaType: type, bytes: size, stored }) => [
        stored ? 'stored' : 'no',
        size === undefined ? '?' : formatBytes(size),
        shortDigest(of),
        type,
      ]),
    ),
    ...table(count(referrers.length, 'referrer'), referrers.map(rowOf)),
  ].join('\n')}\n`;
}

/** `all`, `12.3 MiB`, `no` */
function storedText({ complete, storedBytes }: { readonly complete: boolean; readonly storedBytes: number }): string {
  if (complete) return 'all';
  return storedBytes === 0 ? 'no' : formatBytes(storedBytes);
}

/** Those that are stored whole, and of how many: `amd64 of 4`, `amd64 +1 of 4`, `none of 4`, `windows/amd64`. */
function platformsText({ platforms, storedPlatforms = [] }: TagListEntry): string {
  const shown = platforms.length > 1 ? storedPlatforms : platforms;
  const [first = 'none', ...more] = shown.map((each) => each.replace(/^linux\//, ''));
  const names = more.length === 0 ? first : `${first} +${more.length}`;
  return platforms.length > 1 ? `${names} of ${platforms.length}` : platforms.length === 0 ? '' : names;
}

/** `2026-11-29` */
function dayOf(time: number | undefined): string {
  return time === undefined ? '' : formatInstant(time).slice(0, 10);
}
