import * as z from 'zod';
import { HoldError, type PullThrough, type TagRefreshOptions } from '../cache/index.ts';
import type { HostedHistory, HostedTagHistory } from '../hosting/index.ts';
import type { Digest, Repository } from '../oci/index.ts';
import { type Catalogue, parseImagePattern } from '../routing/index.ts';
import type { TagHold } from '../store/index.ts';
import { type HostedContext, isHostedIn, refuseHold } from './hosted.ts';
import type { Caller, Operation } from './operation.ts';
import { actorShownTo } from './pull-operations.ts';
import { OperationError } from './refusal.ts';

/** What the operations on the history of tags act on. */
export interface HistoryContext extends Pick<TagRefreshOptions, 'originFor'> {
  readonly cache: Pick<PullThrough, 'history' | 'rollback' | 'unhold'>;
  readonly catalogue: Catalogue;
  /** @default nothing is hosted */
  readonly hosted?: HostedContext['hosted'] | undefined;
}

type ContextOf<Method extends keyof HistoryContext['cache']> = {
  readonly cache: Pick<HistoryContext['cache'], Method>;
} & Pick<HistoryContext, 'catalogue' | 'hosted'>;

const image = z.string({ error: 'expected a text' }).max(1000, 'expected at most 1000 characters');

const MAX_REASON = 200;

/** The last time that a date can have. */
const MAX_TIME = 8.64e15;

const hold = z.object({
  digest: z.string(),
  since: z.number().describe('Milliseconds since 1970, as every time here.'),
  until: z.number().optional().describe('Absent: until an operator ends it.'),
  reason: z.string().describe('May be empty.'),
});

/** A held tag, as `status` and others show it. */
export const heldTag = hold.extend({ image: z.string() });
export type HeldTag = z.infer<typeof heldTag>;

const parts = z.object({
  manifest: z.boolean().describe('True where the manifest itself is stored.'),
  stored: z.number().describe('Stored manifests and blobs that it leads to.'),
  named: z.number().describe('All of them, as far as the stored manifests name them.'),
});

const historyInput = z.object({ image });

const historyAnswer = z.object({
  image: z.string().describe('The image, completed: `nginx` is `docker.io/library/nginx`.'),
  tags: z
    .array(
      z.object({
        image: z.string(),
        hold: hold.optional(),
        moves: z
          .array(
            z.object({
              seenAt: z.number().describe('When this server first saw the tag point there.'),
              digest: z.string().describe('Empty where a hosted tag was deleted.'),
              mediaType: z.string(),
              size: z.number().describe('Bytes of the manifest.'),
              upstream: z.string().describe('Empty for a hosted tag.'),
              by: z.string().exactOptional().describe('Who moved or deleted a hosted tag, where the caller may know.'),
              current: z.boolean().describe('The tag of the upstream points there, as far as this server knows.'),
              held: z.boolean(),
              parts,
            }),
          )
          .readonly()
          .describe('Newest first.'),
      }),
    )
    .readonly(),
  omitted: z.number().describe('Tags left out, since the answer is long.'),
});
export type HistoryAnswer = z.infer<typeof historyAnswer>;

/**
 * Rejects with an `OciError` where the text names no image, with a `HoldError` where it names a digest, and with an `OperationError` for
 * many images where the caller does not see every repository: what is left out would be counted.
 */
const history: Operation<z.infer<typeof historyInput>, HistoryAnswer, ContextOf<'history'>> = {
  name: 'history',
  summary: 'The digests that tags pointed to',
  action: 'status',
  changes: false,
  input: historyInput,
  answer: historyAnswer,
  async handle({ image: text }, { cache, catalogue, hosted }, caller) {
    const selection = parseImagePattern(catalogue, text);
    if (selection.digest !== undefined) {
      throw new HoldError(`${selection.text} is a digest, which never moves; name a tag or an image`);
    }
    if (!caller.seesAll) {
      const { repository, text: completed } = selection;
      if (repository === undefined || /[*?]/.test(repository)) {
        throw new OperationError(`${completed} is more than one image; name one, such as docker.io/library/nginx`);
      }
      // As of an image that never was here.
      if (!(await caller.sees(splitName(repository)))) return { image: completed, omitted: 0, tags: [] };
    }
    const ofHosted = await historyOfHosted(selection, hosted, caller);
    const all = await cache.history(selection);
    // What was mirrored before its name was hosted is hidden, as it is to clients.
    const tags = all.tags.filter(({ repository }) => !isHostedIn(catalogue, repository));
    return {
      image: selection.text,
      omitted: all.omitted + ofHosted.omitted,
      tags: [
        ...ofHosted.tags,
        ...tags.map((each) => ({
          image: imageOf(each),
          ...(each.hold === undefined ? {} : { hold: holdOf(each.hold) }),
          moves: each.moves.map(({ seenAt, digest, mediaType, size, upstream, isCurrent, parts: of }) => {
            const held = digest === each.hold?.digest;
            return { seenAt, digest, mediaType, size, upstream, current: isCurrent, held, parts: of };
          }),
        })),
      ],
    };
  },
};

function describeHosted({ repository, tag, moves }: HostedTagHistory, caller: Caller): HistoryAnswer['tags'][number] {
  return {
    image: imageOf({ repository, tag }),
    moves: moves.map(({ at, by, digest = '', isCurrent, manifest }) => {
      const actor = actorShownTo(caller, by);
      return {
        seenAt: at,
        digest,
        mediaType: manifest?.mediaType ?? '',
        size: manifest?.size ?? 0,
        upstream: '',
        ...(actor !== undefined && { by: actor }),
        current: isCurrent,
        held: false,
        parts: { manifest: manifest !== undefined, stored: manifest === undefined ? 0 : 1, named: 1 },
      };
    }),
  };
}

/** Tags of one answer. */
const MAX_HOSTED_TAGS = 100;

/** Where the selected tags of hosted repositories pointed. */
async function historyOfHosted(
  selection: ReturnType<typeof parseImagePattern>,
  hosted: HistoryContext['hosted'],
  caller: Caller,
): Promise<{ readonly tags: HistoryAnswer['tags']; readonly omitted: number }> {
  const found: HistoryAnswer['tags'][number][] = [];
  let omitted = 0;
  const { current } = hosted ?? {};
  for (const repository of (await current?.select(selection)) ?? []) {
    const listed = await current?.history.list(repository, selection.tag);
    if (listed === undefined) break;
    const room = Math.max(0, MAX_HOSTED_TAGS - found.length);
    found.push(...listed.tags.slice(0, room).map((each) => describeHosted(each, caller)));
    omitted += listed.omitted + Math.max(0, listed.tags.length - room);
  }
  return { tags: found, omitted };
}

const rollbackInput = z.object({
  image,
  until: z
    .int({ error: 'expected milliseconds since 1970' })
    .max(MAX_TIME, 'expected milliseconds since 1970')
    .optional()
    .describe('When the hold ends by itself; absent: when an operator ends it.'),
  reason: z
    .string()
    .max(MAX_REASON, `expected at most ${MAX_REASON} characters`)
    .refine((text) => !/\p{Cc}/u.test(text), 'expected one line of text')
    .default(''),
});

const rollbackAnswer = z.object({
  held: heldTag.exactOptional().describe('Absent for a hosted tag, which moves.'),
  moved: z
    .object({ image: z.string(), digest: z.string(), from: z.string().exactOptional() })
    .exactOptional()
    .describe('A hosted tag: where it points now, and where it pointed before.'),
  current: z.string().optional().describe('Where the upstream pointed the tag when it was last asked.'),
  parts,
});
export type RollbackAnswer = z.infer<typeof rollbackAnswer>;

/**
 * Rejects with an `OciError` where the text names no image, with a `HoldError` where the tag never pointed to the digest, and
 * with the failure of the upstream where the manifest is neither stored nor can be fetched.
 */
const rollback: Operation<
  z.infer<typeof rollbackInput>,
  RollbackAnswer,
  ContextOf<'rollback'> & Pick<HistoryContext, 'originFor'>
> = {
  name: 'rollback',
  summary: 'Keep a tag at a digest of its history, or move a hosted tag back to it',
  action: 'admin',
  changes: true,
  input: rollbackInput,
  answer: rollbackAnswer,
  async handle({ image: text, until, reason }, { cache, catalogue, hosted, originFor }, { name: by }) {
    const { repository, tag, digest } = oneTag(catalogue, text);
    if (digest === undefined) {
      throw new HoldError(`${text} names no digest; write IMAGE:TAG@sha256:… as \`entrepot history\` lists it`);
    }
    if (isHostedIn(catalogue, repository)) {
      if (until !== undefined || reason !== '') {
        throw new HoldError('a hosted tag moves, and is not held: leave out --until and --reason');
      }
      return rollBackHosted(hosted?.current?.history, { repository, tag, digest, by });
    }
    if (until !== undefined && until <= Date.now()) throw new HoldError('the end of the hold has passed already');
    const done = await cache.rollback({ repository, tag, digest, until, reason }, { originFor });
    const { hold: held, current, parts: of } = done;
    return {
      held: { image: imageOf(done), ...holdOf(held) },
      ...(current === undefined ? {} : { current }),
      parts: { ...of },
    };
  },
};

async function rollBackHosted(
  history: HostedHistory | undefined,
  {
    repository,
    tag,
    digest,
    by,
  }: { readonly repository: Repository; readonly tag: string; readonly digest: Digest; readonly by: string },
): Promise<RollbackAnswer> {
  const image = imageOf({ repository, tag });
  if (history === undefined) throw new HoldError(`${image} ${NOT_MOVED['never there']}`);
  const done = await history.rollBack(repository, { tag, digest, by });
  if (done.outcome !== 'moved') throw new HoldError(`${image} ${NOT_MOVED[done.outcome]}`);
  const { from } = done;
  return {
    moved: { image, digest, ...(from !== undefined && { from }) },
    parts: { manifest: true, stored: 1, named: 1 },
  };
}

const NOT_MOVED = {
  'there already': 'points to this digest already',
  'never there': 'never pointed to this digest; `entrepot history` lists those that it pointed to',
  deleted: 'pointed to this digest, whose manifest was deleted or lost; push it again, or restore a backup',
  immutable: 'is immutable (immutable_tags), so it stays; take it out of immutable_tags first',
} as const;

const unholdInput = z.object({ image });

const unholdAnswer = z.object({
  image: z.string(),
  ended: hold.optional().describe('The hold that ended; absent where the tag was not held.'),
});
export type UnholdAnswer = z.infer<typeof unholdAnswer>;

/** Rejects with an `OciError` where the text names no image, and with a `HoldError` where it names a digest. */
const unhold: Operation<z.infer<typeof unholdInput>, UnholdAnswer, ContextOf<'unhold'>> = {
  name: 'unhold',
  summary: 'End the hold of a tag',
  action: 'admin',
  changes: true,
  input: unholdInput,
  answer: unholdAnswer,
  async handle({ image: text }, { cache, catalogue }) {
    const { repository, tag, digest } = oneTag(catalogue, text);
    if (digest !== undefined) throw new HoldError(`${text} names a digest; name the held tag alone`);
    refuseHold(catalogue, repository, tag);
    const ended = await cache.unhold(repository, tag);
    return { image: imageOf({ repository, tag }), ...(ended === undefined ? {} : { ended: holdOf(ended) }) };
  },
};

/** The operations on the history of tags. */
export const HISTORY_OPERATIONS = { history, rollback, unhold };

/** One tag; `latest` where the text names none, as in a pull. */
function oneTag(
  catalogue: Catalogue,
  text: string,
): { readonly repository: Repository; readonly tag: string; readonly digest: Digest | undefined } {
  const { repository, tag = 'latest', digest } = parseImagePattern(catalogue, text);
  if (repository === undefined || /[*?]/.test(repository + tag)) {
    throw new HoldError(`${text} is more than one tag; name one, such as docker.io/library/nginx:1.27`);
  }
  return { repository: splitName(repository), tag, digest };
}

/** `docker.io/library/nginx` */
function splitName(name: string): Repository {
  const slash = name.indexOf('/');
  return { registry: name.slice(0, slash), repository: name.slice(slash + 1) };
}

export function holdOf({ digest, heldAt, until, reason }: TagHold): z.infer<typeof hold> {
  return { digest, since: heldAt, ...(until === undefined ? {} : { until }), reason };
}

export function imageOf({ repository, tag }: { readonly repository: Repository; readonly tag: string }): string {
  return `${repository.registry}/${repository.repository}:${tag}`;
}
