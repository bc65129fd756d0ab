import type {
  Collected,
  CollectOptions,
  Purged,
  PurgeOptions,
  Refreshed,
  RefreshOptions,
  Scrub,
  ScrubProgress,
  Selection,
  UrlSelection,
} from '../cache/index.ts';
import { type Catalogue, parseImagePattern } from '../routing/index.ts';
import type { MetadataStore } from '../store/index.ts';
import type { Operation } from './socket.ts';

// What a server, or a command that owns the cache directory, can be told to do with the cache. What goes over the control
// socket is checked here, and what comes back is plain JSON.

/** What can be done with a cache, by a running server or by hand. */
export interface CacheControls {
  collect(options: CollectOptions): Promise<Collected>;
  purge(selections: readonly (Selection | UrlSelection)[], options: PurgeOptions): Promise<Purged>;
  refresh(selections: readonly Selection[], options: RefreshOptions): Promise<readonly Refreshed[]>;
}

/** What `entrepot gc` asks for. */
export interface GcInput {
  readonly dryRun?: boolean;
  /** Bytes to come down to. @default the limits as they are configured */
  readonly maxSize?: number;
}

export interface GcAnswer {
  readonly dryRun: boolean;
  /** Bytes in the cache before. */
  readonly stored: number;
  /** Bytes that had to go, of which `freed` did, or would. */
  readonly wanted: number;
  readonly freed: number;
  readonly blobs: number;
  /** The first ten thousand, read longest ago first. */
  readonly evicted: readonly {
    readonly digest: string;
    readonly size: number;
    /** Milliseconds since 1970. */
    readonly readAt: number;
    /** Some of those it belongs to. */
    readonly repositories: readonly string[];
  }[];
}

/** What `entrepot purge` and `entrepot refresh` ask for. */
export interface PatternsInput {
  /** Images, tags, digests, or patterns of them; to purge, `mirror:<route>` and `mirror:<route>/<path>` as well. */
  readonly patterns: readonly string[];
  readonly dryRun?: boolean;
}

export interface PurgeAnswer {
  readonly dryRun: boolean;
  /** The patterns as they were understood. */
  readonly patterns: readonly string[];
  readonly tags: readonly { readonly image: string; readonly digest: string }[];
  readonly tagCount: number;
  readonly members: number;
  /** Answers of mirrored sites; absent from servers before there was this. */
  readonly urls?: number;
  readonly blobs: number;
  readonly freed: number;
}

export interface RefreshAnswer {
  readonly patterns: readonly string[];
  readonly tags: readonly {
    readonly image: string;
    readonly outcome: 'new' | 'moved' | 'unchanged' | 'failed';
    readonly before?: string | undefined;
    readonly after?: string | undefined;
    readonly error?: string | undefined;
  }[];
}

export interface OperationsContext extends Pick<RefreshOptions, 'originFor'> {
  readonly catalogue: Catalogue;
  readonly metadata: MetadataStore;
}

/** Patterns in one command. */
const MAX_PATTERNS = 100;

/** Repositories named of each blob. */
const MAX_OWNERS = 5;

/** The operations `gc`, `purge` and `refresh` of the control socket. */
export function cacheOperations(cache: CacheControls, context: OperationsContext): readonly Operation[] {
  return [
    { name: 'gc', method: 'POST', handle: (input) => collectGarbage(cache, readGcInput(input), context) },
    { name: 'purge', method: 'POST', handle: (input) => purgePatterns(cache, readPatternsInput(input), context) },
    { name: 'refresh', method: 'POST', handle: (input) => refreshPatterns(cache, readPatternsInput(input), context) },
  ];
}

/** The operations `scrub` of the control socket: `POST` starts one, joins it or ends it, `GET` tells how it fares. */
export function scrubOperations(scrub: Scrub): readonly Operation[] {
  return [
    { name: 'scrub', method: 'GET', handle: () => scrub.progress ?? null },
    { name: 'scrub', method: 'POST', handle: (input) => startOrStop(scrub, fieldsOf(input)['stop'] === true) },
  ];
}

async function startOrStop(scrub: Scrub, isToStop: boolean): Promise<ScrubProgress | null> {
  if (isToStop) await scrub.stop();
  // It goes on whether or not anybody watches.
  else void scrub.run();
  return scrub.progress ?? null;
}

export async function collectGarbage(
  cache: Pick<CacheControls, 'collect'>,
  { dryRun = false, maxSize }: GcInput,
  { metadata }: Pick<OperationsContext, 'metadata'>,
): Promise<GcAnswer> {
  // An evicted blob still belongs to its repositories: they fetch it again when it is asked for.
  const { evicted, ...sums } = await cache.collect({ dryRun, maxSize });
  const listed: GcAnswer['evicted'][number][] = [];
  for (const { digest, size, readAt } of evicted) {
    const owners = await metadata.repositoriesOf(digest, MAX_OWNERS);
    const repositories = owners.map(({ registry, repository }) => `${registry}/${repository}`);
    listed.push({ digest, size, readAt, repositories });
  }
  return { ...sums, evicted: listed };
}

/** @throws {OciError} where a pattern names no image */
export async function purgePatterns(
  cache: Pick<CacheControls, 'purge'>,
  { patterns, dryRun = false }: PatternsInput,
  { catalogue }: Pick<OperationsContext, 'catalogue'>,
): Promise<PurgeAnswer> {
  const understood = patterns.map((pattern) => parseUrlPattern(pattern) ?? parseImagePattern(catalogue, pattern));
  const { tags, ...sums } = await cache.purge(understood, { dryRun });
  return {
    ...sums,
    patterns: understood.map(({ text }) => text),
    tags: tags.map(({ repository, tag, digest }) => ({
      image: `${repository.registry}/${repository.repository}:${tag}`,
      digest,
    })),
  };
}

const URL_PATTERN = /^mirror:([^/]+)(\/.*)?$/s;

/** `mirror:github` and `mirror:github/owner/**`; undefined: it is about images. */
function parseUrlPattern(text: string): (UrlSelection & { readonly text: string }) | undefined {
  const [, route, path] = URL_PATTERN.exec(text) ?? [];
  return route === undefined ? undefined : { route, path, text };
}

/** @throws {OciError} where a pattern names no image */
export async function refreshPatterns(
  cache: Pick<CacheControls, 'refresh'>,
  { patterns }: PatternsInput,
  { catalogue, originFor }: Pick<OperationsContext, 'catalogue' | 'originFor'>,
): Promise<RefreshAnswer> {
  const understood = patterns.map((pattern) => parseImagePattern(catalogue, pattern));
  const byDigest = understood.find(({ digest }) => digest !== undefined);
  if (byDigest !== undefined) {
    throw new Error(`${byDigest.text} is a digest, which never points to anything else; name a tag or an image`);
  }
  const tags = await cache.refresh(understood, { originFor });
  return {
    patterns: understood.map(({ text }) => text),
    tags: tags.map(({ repository, tag, before, after, error }) => ({
      image: `${repository.registry}/${repository.repository}:${tag}`,
      outcome: after === undefined ? 'failed' : before === undefined ? 'new' : before === after ? 'unchanged' : 'moved',
      before,
      after,
      error,
    })),
  };
}

function readGcInput(input: unknown): GcInput {
  const { dryRun, maxSize } = fieldsOf(input);
  if (maxSize !== undefined && !(Number.isSafeInteger(maxSize) && (maxSize as number) >= 0)) {
    throw new TypeError('maxSize is not a number of bytes');
  }
  return { dryRun: dryRun === true, ...(maxSize === undefined ? {} : { maxSize: maxSize as number }) };
}

function readPatternsInput(input: unknown): PatternsInput {
  const { patterns, dryRun } = fieldsOf(input);
  if (!Array.isArray(patterns) || patterns.length === 0 || patterns.length > MAX_PATTERNS) {
    throw new TypeError(`patterns is not a list of 1 to ${MAX_PATTERNS} images, tags or digests`);
  }
  const texts = patterns.filter((pattern) => typeof pattern === 'string');
  if (texts.length < patterns.length) throw new TypeError('patterns holds what is no text');
  return { patterns: texts, dryRun: dryRun === true };
}

function fieldsOf(input: unknown): Readonly<Record<string, unknown>> {
  return typeof input === 'object' && input !== null ? (input as Record<string, unknown>) : {};
}
