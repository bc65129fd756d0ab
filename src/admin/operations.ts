import * as z from 'zod';
import type { PullThrough, Selection, TagRefreshOptions, UrlSelection } from '../cache/index.ts';
import { OciError } from '../oci/index.ts';
import { type Catalogue, parseImagePattern } from '../routing/index.ts';
import type { MetadataStore } from '../store/index.ts';
import { ACCOUNT_OPERATIONS, type AccountContext } from './account-operations.ts';
import { BACKUP_OPERATIONS, type BackupContext } from './backup-operations.ts';
import { CARRY_OPERATIONS, type CarryContext } from './carry-operations.ts';
import { CONFIGURATION_OPERATIONS, type ConfigurationContext } from './configuration-operations.ts';
import { type ConsoleContext, console } from './console-operation.ts';
import { COPY_OPERATIONS, type CopyContext } from './copy-operations.ts';
import { EXPLAIN_OPERATIONS, type ExplainContext } from './explain-operations.ts';
import { HISTORY_OPERATIONS, heldTag, holdOf, imageOf } from './history-operations.ts';
import { type HostedContext, hostedAmong, isHostedIn } from './hosted.ts';
import { INVENTORY_OPERATIONS, type InventoryContext } from './inventory-operations.ts';
import type { Operation } from './operation.ts';
import { type OverviewContext, overview } from './overview-operation.ts';
import { PULL_OPERATIONS, type PullContext } from './pull-operations.ts';
import { OperationError } from './refusal.ts';
import { REGISTRY_OPERATIONS, type RegistryContext } from './registry-operations.ts';
import { SCHEDULE_OPERATIONS, type ScheduleContext } from './schedule-operations.ts';
import { SCRUB_OPERATIONS, unknownFiles } from './scrub-operations.ts';
import { type ServerStatus, serverStatus } from './status.ts';
import { type SuggestContext, suggest } from './suggest.ts';
import { WARM_OPERATIONS, type WarmContext } from './warm-operations.ts';
import { WEBHOOK_OPERATIONS, type WebhookContext } from './webhook-operations.ts';

/** What the operations of a running server act on. */
export interface OperationContext
  extends Pick<TagRefreshOptions, 'originFor'>,
    AccountContext,
    SuggestContext,
    HostedOperationContext,
    WebhookContext,
    PullContext,
    OverviewContext,
    InventoryContext,
    RegistryContext,
    ConfigurationContext,
    ExplainContext,
    WarmContext,
    ScheduleContext,
    CarryContext,
    CopyContext,
    ConsoleContext {
  readonly cache: Pick<PullThrough, 'collect' | 'history' | 'purge' | 'refresh' | 'rollback' | 'scrub' | 'unhold'>;
  /** The registries of the current generation. */
  readonly catalogue: Catalogue;
  readonly metadata: MetadataStore;
  readonly status: () => Promise<ServerStatus>;
  readonly reload: () => Promise<ReloadAnswer>;
}

type CacheContext<Method extends keyof PullThrough> = { readonly cache: Pick<PullThrough, Method> };
/** All that operations do with hosted content. */
interface HostedOperationContext {
  readonly hosted: BackupContext['hosted'] & HostedContext['hosted'];
}
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
  summary: 'The state of the server, as `entrepot status` shows it',
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
  summary: 'Read the configuration again, and take it up where it is valid',
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

const gcAnswer = z.object({
  dryRun: z.boolean(),
  stored: z.number().describe('Bytes in the cache before.'),
  wanted: z.number().describe('Bytes over the limits. The cache evicts `freed` of them.'),
  freed: z.number(),
  blobs: z.number(),
  partials: z
    .number()
    .exactOptional()
    .describe('Blobs that had come in part, and whose bytes went first; absent for none.'),
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
  hosted: z
    .object({
      records: z.number().describe('Blobs and manifests that were removed from hosted repositories.'),
      files: z.number(),
      bytes: z.number(),
      paused: z.boolean().optional().describe('True: a backup is copying the files, and nothing was looked at.'),
    })
    .optional()
    .describe('A collection of hosted content; absent where nothing is hosted, and of a dry run.'),
  unknown: unknownFiles,
});
export type GcAnswer = z.infer<typeof gcAnswer>;

/** Repositories listed of each evicted blob. */
const MAX_OWNERS = 5;

type GcContext = CacheContext<'collect'> & Pick<OperationContext, 'metadata'> & HostedContext;

const gc: Operation<z.infer<typeof gcInput>, GcAnswer, GcContext> = {
  name: 'gc',
  summary: 'Evict what the cache holds over its limits, and collect hosted content',
  action: 'admin',
  changes: true,
  input: gcInput,
  answer: gcAnswer,
  async handle({ dryRun, maxSize }, { cache, metadata, hosted }) {
    // An evicted blob keeps its repositories: they fetch it again when a client asks for it.
    const { evicted, ...sums } = await cache.collect({ dryRun, maxSize });
    const listed: GcAnswer['evicted'][number][] = [];
    for (const { digest, size, readAt } of evicted) {
      const owners = await metadata.repositoriesOf(digest, MAX_OWNERS);
      const repositories = owners.map(({ registry, repository }) => `${registry}/${repository}`);
      listed.push({ digest, size, readAt, repositories });
    }
    const collected = dryRun ? undefined : await hosted.current?.collect();
    return { ...sums, evicted: listed, ...(collected === undefined ? {} : { hosted: collected }) };
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
  pins: z.number().optional().describe('Pins of purged tags, which ended with them. Older servers leave it out.'),
  members: z.number().describe('Digests that no longer belong to a repository.'),
  urls: z.number().optional().describe('Answers of mirrored sites. Older servers leave it out.'),
  hosted: z
    .object({ count: z.number(), names: texts.describe('The first few.') })
    .optional()
    .describe('Hosted repositories that the patterns match. They stay. Older servers leave it out.'),
  blobs: z.number(),
  freed: z.number(),
});
export type PurgeAnswer = z.infer<typeof purgeAnswer>;

type PurgeContext = CacheContext<'purge'> & CatalogueContext & HostedContext;

/** Rejects with an `OciError` where a pattern names no image, or a hosted repository. */
const purge: Operation<z.infer<typeof purgeInput>, PurgeAnswer, PurgeContext> = {
  name: 'purge',
  summary: 'Remove images, tags or digests from the cache',
  action: 'admin',
  changes: true,
  input: purgeInput,
  answer: purgeAnswer,
  async handle({ patterns, dryRun }, { cache, catalogue, hosted }) {
    const selections = patterns.map((pattern) => parseUrlPattern(pattern) ?? parseImagePattern(catalogue, pattern));
    const images = selections.filter((each): each is Exclude<typeof each, UrlSelection> => !('route' in each));
    for (const { repository, text } of images) refusePurgeOfHosted(catalogue, repository, text);
    const kept = await hostedAmong(images, hosted);
    const { tags, held, ...sums } = await cache.purge(selections, { dryRun });
    return {
      ...sums,
      ...(kept.count === 0 ? {} : { hosted: kept }),
      patterns: textsOf(selections),
      tags: tags.map((each) => ({ image: imageOf(each), digest: each.digest })),
      held: held.map((each) => ({ image: imageOf(each), ...holdOf(each.hold) })),
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
  summary: 'Ask upstreams now where cached tags point',
  action: 'admin',
  changes: true,
  input: refreshInput,
  answer: refreshAnswer,
  async handle({ patterns }, { cache, catalogue, originFor }) {
    const selections = patterns.map((pattern) => parseImagePattern(catalogue, pattern));
    const byDigest = selections.find(({ digest }) => digest !== undefined);
    if (byDigest !== undefined) {
      throw new OperationError(`${byDigest.text} is a digest, which never changes; name a tag or an image`);
    }
    const tags = await cache.refresh(selections, {
      originFor,
      // What was mirrored under the name before may still be cached.
      refusalOf: (repository) =>
        isHostedIn(catalogue, repository) ? 'it is hosted here: what was pushed last is current' : undefined,
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

/** Every operation of a running server. */
export const OPERATIONS = {
  status,
  reload,
  gc,
  purge,
  refresh,
  ...SCRUB_OPERATIONS,
  suggest,
  ...HISTORY_OPERATIONS,
  ...ACCOUNT_OPERATIONS,
  ...WEBHOOK_OPERATIONS,
  ...BACKUP_OPERATIONS,
  overview,
  ...PULL_OPERATIONS,
  ...INVENTORY_OPERATIONS,
  ...REGISTRY_OPERATIONS,
  ...CONFIGURATION_OPERATIONS,
  ...EXPLAIN_OPERATIONS,
  ...WARM_OPERATIONS,
  ...SCHEDULE_OPERATIONS,
  ...CARRY_OPERATIONS,
  ...COPY_OPERATIONS,
  console,
};

/** @throws {OciError} where the pattern names one repository, whose home is here: a purge is of what can be fetched again */
function refusePurgeOfHosted(catalogue: Catalogue, name: string | undefined, text: string): void {
  if (name === undefined || /[*?]/.test(name)) return;
  const slash = name.indexOf('/');
  const repository = { registry: name.slice(0, slash), repository: name.slice(slash + 1) };
  if (!isHostedIn(catalogue, repository)) return;
  throw new OciError(
    'UNSUPPORTED',
    `${text} is hosted here and has no other copy, so it is not purged. Delete it as a client: \`crane delete ${name}@sha256:…\` or DELETE /v2/${name}/manifests/<digest>`,
  );
}

const URL_PATTERN = /^mirror:([^/]+)(\/.*)?$/s;

/** `mirror:github` and `mirror:github/owner/**`; undefined for a pattern of images. */
function parseUrlPattern(text: string): (UrlSelection & { readonly text: string }) | undefined {
  const [, route, path] = URL_PATTERN.exec(text) ?? [];
  return route === undefined ? undefined : { route, path, text };
}

function textsOf(selections: readonly ((Selection | UrlSelection) & { readonly text: string })[]): readonly string[] {
  return selections.map(({ text }) => text);
}
