import { z } from 'zod';
import type { PullThrough, Scrub, Selection, TagRefreshOptions, UrlSelection } from '../cache/index.ts';
import { HostingRules } from '../hosting/index.ts';
import { globCovers } from '../lib/index.ts';
import { type Catalogue, parseImagePattern } from '../routing/index.ts';
import type { MetadataStore } from '../store/index.ts';
import { ACCOUNT_OPERATIONS, type AccountContext } from './account-operations.ts';
import { HISTORY_OPERATIONS, heldTag, holdOf, imageOf } from './history-operations.ts';
import type { Operation } from './operation.ts';
import { type ServerStatus, serverStatus } from './status.ts';
import { type SuggestContext, suggest } from './suggest.ts';
import { WEBHOOK_OPERATIONS, type WebhookContext } from './webhook-operations.ts';

/** What the operations of a running server act on. */
export interface OperationContext
  extends Pick<TagRefreshOptions, 'originFor'>,
    AccountContext,
    SuggestContext,
    WebhookContext {
  readonly cache: Pick<PullThrough, 'collect' | 'history' | 'purge' | 'refresh' | 'rollback' | 'scrub' | 'unhold'>;
  /** The registries of the current generation. */
  readonly catalogue: Catalogue;
  readonly metadata: MetadataStore;
  readonly status: () => Promise<ServerStatus>;
  readonly reload: () => Promise<ReloadAnswer>;
}

type CacheContext<Method extends keyof PullThrough> = { readonly cache: Pick<PullThrough, Method> };
type CatalogueContext = Pick<OperationContext, 'catalogue'>;

const none = z.object({});
const texts = z.array(z.string()).readonly();

/** Patterns in one command. */
const MAX_PATTERNS = 100;

const patterns = z
  .array(z.string({ error: 'expected texts only' }), { error: 'expected a list of images, tags or digests' })
  .min(1, 'expected at least one image, tag or digest')
  .max(MAX_PATTERNS, `expected at most ${MAX_PATTERNS} images, tags or digests`)
  .readonly()
  .describe(
    'Images, tags, digests, or patterns of them; for a purge `mirror:<route>` and `mirror:<route>/<path>` too.',
  );

/** The action is not `status`: the answer names directories and images, and anonymous clients may read `status`. */
const status: Operation<object, ServerStatus, Pick<OperationContext, 'status'>> = {
  name: 'status',
  action: 'admin',
  changes: false,
  input: none,
  answer: serverStatus,
  handle: (_, context) => context.status(),
};

const reloadAnswer = z.object({
  outcome: z.enum(['changed', 'unchanged', 'refused']),
  source: z.string().describe('A file, an environment variable, or `defaults`.'),
  changed: texts.describe('The options that changed.'),
  registries: z.object({ added: texts, removed: texts, changed: texts }),
  restart: texts.describe('The options that take a restart.'),
  problems: texts.describe('Why the configuration was refused.'),
});
export type ReloadAnswer = z.infer<typeof reloadAnswer>;

const reload: Operation<object, ReloadAnswer, Pick<OperationContext, 'reload'>> = {
  name: 'reload',
  action: 'admin',
  changes: true,
  input: none,
  answer: reloadAnswer,
  handle: (_, context) => context.reload(),
};

const gcInput = z.object({
  dryRun: z.boolean().default(false),
  maxSize: z
    .int({ error: 'expected a number of bytes' })
    .min(0, 'expected a number of bytes')
    .optional()
    .describe('Bytes to come down to, instead of the configured limits.'),
});

const unknownFiles = z
  .object({
    count: z.number(),
    names: texts.describe('The first few, below the cache directory.'),
  })
  .optional()
  .describe('Files of other programs in the cache directory, which are never deleted. Older servers leave it out.');
export type UnknownFiles = z.infer<typeof unknownFiles>;

const gcAnswer = z.object({
  dryRun: z.boolean(),
  stored: z.number().describe('Bytes in the cache before.'),
  wanted: z.number().describe('Bytes over the limits. The cache evicts `freed` of them.'),
  freed: z.number(),
  blobs: z.number(),
  evicted: z
    .array(
      z.object({
        digest: z.string(),
        size: z.number(),
        readAt: z.number().describe('Milliseconds since 1970.'),
        repositories: texts.describe('The first few of its repositories.'),
      }),
    )
    .readonly()
    .describe('The first ten thousand, least recently read first.'),
  unknown: unknownFiles,
});
export type GcAnswer = z.infer<typeof gcAnswer>;

/** Repositories listed of each evicted blob. */
const MAX_OWNERS = 5;

const gc: Operation<z.infer<typeof gcInput>, GcAnswer, CacheContext<'collect'> & Pick<OperationContext, 'metadata'>> = {
  name: 'gc',
  action: 'admin',
  changes: true,
  input: gcInput,
  answer: gcAnswer,
  async handle({ dryRun, maxSize }, { cache, metadata }) {
    // An evicted blob keeps its repositories: they fetch it again when a client asks for it.
    const { evicted, ...sums } = await cache.collect({ dryRun, maxSize });
    const listed: GcAnswer['evicted'][number][] = [];
    for (const { digest, size, readAt } of evicted) {
      const owners = await metadata.repositoriesOf(digest, MAX_OWNERS);
      const repositories = owners.map(({ registry, repository }) => `${registry}/${repository}`);
      listed.push({ digest, size, readAt, repositories });
    }
    return { ...sums, evicted: listed };
  },
};

const purgeInput = z.object({ patterns, dryRun: z.boolean().default(false) });

const purgeAnswer = z.object({
  dryRun: z.boolean(),
  patterns: texts.describe('The patterns, completed: `nginx` is `docker.io/library/nginx`.'),
  tags: z.array(z.object({ image: z.string(), digest: z.string() })).readonly(),
  tagCount: z.number(),
  held: z
    .array(heldTag)
    .readonly()
    .optional()
    .describe('Held tags that were selected. They and what they hold stay. Older servers leave it out.'),
  hosted: texts
    .optional()
    .describe('Patterns of hosted repositories alone. What was pushed there stays. Older servers leave it out.'),
  members: z.number().describe('Digests that no longer belong to a repository.'),
  urls: z.number().optional().describe('Answers of mirrored sites. Older servers leave it out.'),
  blobs: z.number(),
  freed: z.number(),
});
export type PurgeAnswer = z.infer<typeof purgeAnswer>;

/** Rejects with an `OciError` where a pattern names no image. */
const purge: Operation<z.infer<typeof purgeInput>, PurgeAnswer, CacheContext<'purge'> & CatalogueContext> = {
  name: 'purge',
  action: 'admin',
  changes: true,
  input: purgeInput,
  answer: purgeAnswer,
  async handle({ patterns, dryRun }, { cache, catalogue }) {
    const selections = patterns.map((pattern) => parseUrlPattern(pattern) ?? parseImagePattern(catalogue, pattern));
    const { tags, held, ...sums } = await cache.purge(selections, { dryRun });
    return {
      ...sums,
      patterns: textsOf(selections),
      tags: tags.map((each) => ({ image: imageOf(each), digest: each.digest })),
      held: held.map((each) => ({ image: imageOf(each), ...holdOf(each.hold) })),
      hosted: hostedOf(selections, catalogue),
    };
  },
};

const refreshInput = z.object({ patterns });

const refreshAnswer = z.object({
  patterns: texts,
  tags: z
    .array(
      z.object({
        image: z.string(),
        outcome: z.enum(['new', 'moved', 'unchanged', 'failed']),
        before: z.string().optional().describe('The digest before; absent for a tag that was not cached.'),
        after: z.string().optional(),
        error: z.string().optional(),
      }),
    )
    .readonly(),
});
export type RefreshAnswer = z.infer<typeof refreshAnswer>;

type RefreshContext = CacheContext<'refresh'> & Pick<OperationContext, 'catalogue' | 'originFor'>;

/** Rejects with an `OciError` where a pattern names no image, and with an `Error` where it names a digest. */
const refresh: Operation<z.infer<typeof refreshInput>, RefreshAnswer, RefreshContext> = {
  name: 'refresh',
  action: 'admin',
  changes: true,
  input: refreshInput,
  answer: refreshAnswer,
  async handle({ patterns }, { cache, catalogue, originFor }) {
    const selections = patterns.map((pattern) => parseImagePattern(catalogue, pattern));
    const byDigest = selections.find(({ digest }) => digest !== undefined);
    if (byDigest !== undefined) {
      throw new Error(`${byDigest.text} is a digest, which never changes; name a tag or an image`);
    }
    const rules = new HostingRules(catalogue.list());
    const tags = await cache.refresh(selections, {
      originFor,
      // What was mirrored under the name before may still be cached.
      refusalOf: (repository) =>
        rules.homeOf(repository) === 'here' ? 'it is hosted here: what was pushed last is current' : undefined,
    });
    return {
      patterns: textsOf(selections),
      tags: tags.map((tag) => {
        const { before, after, error } = tag;
        const changed = before === after ? 'unchanged' : 'moved';
        const outcome = after === undefined ? 'failed' : before === undefined ? 'new' : changed;
        return { image: imageOf(tag), outcome, before, after, error };
      }),
    };
  },
};

const scrubProgress = z.object({
  state: z.enum(['running', 'done', 'stopped', 'failed']),
  startedAt: z.number(),
  finishedAt: z.number().optional(),
  blobs: z.number().describe('Blobs checked so far, and their bytes.'),
  bytes: z.number(),
  totalBlobs: z.number().describe('Blobs in all, as counted at the start, and their bytes.'),
  totalBytes: z.number(),
  rotten: z.number().describe('Corrupt blobs, now in quarantine.'),
  missing: z.number().describe('Blobs with a record and no file.'),
  adopted: z.number().describe('Correct blobs without a record.'),
  problems: z
    .array(z.object({ digest: z.string(), reason: z.string(), detail: z.string() }))
    .readonly()
    .describe('The first hundred corrupt or missing blobs.'),
  unknown: unknownFiles,
  error: z.string().optional(),
});
export type ScrubProgress = z.infer<typeof scrubProgress>;

const scrubInput = z.object({ stop: z.boolean().default(false) });
const scrubAnswer = scrubProgress.nullable();
type ScrubContext = { readonly cache: { readonly scrub: Pick<Scrub, 'progress' | 'run' | 'stop'> } };

/** Starts a scrub, joins the running one, or stops it. Null where none has run since the start. */
const scrub: Operation<z.infer<typeof scrubInput>, ScrubProgress | null, ScrubContext> = {
  name: 'scrub',
  action: 'admin',
  changes: true,
  input: scrubInput,
  answer: scrubAnswer,
  async handle({ stop }, { cache }) {
    if (stop) await cache.scrub.stop();
    // It runs to its end, whether or not a command watches.
    else void cache.scrub.run();
    return cache.scrub.progress ?? null;
  },
};

const scrubLook: Operation<object, ScrubProgress | null, ScrubContext> = {
  name: 'scrub',
  action: 'admin',
  changes: false,
  input: none,
  answer: scrubAnswer,
  handle: (_, { cache }) => cache.scrub.progress ?? null,
};

/** Every operation of a running server. */
export const OPERATIONS = {
  status,
  reload,
  gc,
  purge,
  refresh,
  scrub,
  scrubLook,
  suggest,
  ...HISTORY_OPERATIONS,
  ...ACCOUNT_OPERATIONS,
  ...WEBHOOK_OPERATIONS,
};

const URL_PATTERN = /^mirror:([^/]+)(\/.*)?$/s;

/** `mirror:github` and `mirror:github/owner/**`; undefined for a pattern of images. */
function parseUrlPattern(text: string): (UrlSelection & { readonly text: string }) | undefined {
  const [, route, path] = URL_PATTERN.exec(text) ?? [];
  return route === undefined ? undefined : { route, path, text };
}

/** Those of repositories that are all hosted. */
function hostedOf(
  selections: readonly ((Selection | UrlSelection) & { readonly text: string })[],
  catalogue: Catalogue,
): readonly string[] {
  const hosted = catalogue
    .list()
    .flatMap(({ name, hosting }) => (hosting?.hosted ?? []).map((pattern) => `${name}/${pattern}`));
  return selections.flatMap((selection) => {
    const repository = 'route' in selection ? undefined : selection.repository;
    return repository !== undefined && hosted.some((wide) => globCovers(wide, repository)) ? [selection.text] : [];
  });
}

function textsOf(selections: readonly ((Selection | UrlSelection) & { readonly text: string })[]): readonly string[] {
  return selections.map(({ text }) => text);
}
