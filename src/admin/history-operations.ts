import { z } from 'zod';
import { HoldError, type PullThrough, type TagRefreshOptions } from '../cache/index.ts';
import type { Digest, Repository } from '../oci/index.ts';
import { type Catalogue, parseImagePattern } from '../routing/index.ts';
import type { TagHold } from '../store/index.ts';
import {
  type HostedContext,
  historyOfHosted,
  hostedHistory,
  isHostedIn,
  refuseHold,
  rollBackHosted,
} from './hosted.ts';
import type { Operation } from './operation.ts';

/** What the operations on the history of tags act on. */
export interface HistoryContext extends Pick<TagRefreshOptions, 'originFor'>, HostedContext {
  readonly cache: Pick<PullThrough, 'history' | 'rollback' | 'unhold'>;
  readonly catalogue: Catalogue;
}

type ContextOf<Method extends keyof HistoryContext['cache']> = {
  readonly cache: Pick<HistoryContext['cache'], Method>;
} & Pick<HistoryContext, 'catalogue'>;

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
              digest: z.string(),
              mediaType: z.string(),
              size: z.number().describe('Bytes of the manifest.'),
              upstream: z.string(),
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
  hosted: hostedHistory
    .optional()
    .describe('Tags of repositories whose home is this server. Older servers leave it out.'),
  omitted: z.number().describe('Tags left out, since the answer is long.'),
});
export type HistoryAnswer = z.infer<typeof historyAnswer>;

/** Rejects with an `OciError` where the text names no image, and with a `HoldError` where it names a digest. */
const history: Operation<z.infer<typeof historyInput>, HistoryAnswer, ContextOf<'history'> & HostedContext> = {
  name: 'history',
  action: 'admin',
  changes: false,
  input: historyInput,
  answer: historyAnswer,
  async handle({ image: text }, { cache, catalogue, hosted }) {
    const selection = parseImagePattern(catalogue, text);
    if (selection.digest !== undefined) {
      throw new HoldError(`${selection.text} is a digest, which never moves; name a tag or an image`);
    }
    const all = await cache.history(selection);
    // What was mirrored before its name was hosted is hidden, as it is to clients.
    const tags = all.tags.filter(({ repository }) => !isHostedIn(catalogue, repository));
    const ofHosted = await historyOfHosted(selection, hosted);
    return {
      image: selection.text,
      omitted: all.omitted + ofHosted.omitted,
      ...(ofHosted.tags.length === 0 ? {} : { hosted: ofHosted.tags }),
      tags: tags.map((each) => ({
        image: imageOf(each),
        ...(each.hold === undefined ? {} : { hold: holdOf(each.hold) }),
        moves: each.moves.map(({ seenAt, digest, mediaType, size, upstream, isCurrent, parts: of }) => {
          const held = digest === each.hold?.digest;
          return { seenAt, digest, mediaType, size, upstream, current: isCurrent, held, parts: of };
        }),
      })),
    };
  },
};

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
    .regex(/^\P{Cc}*$/u, 'expected one line of text')
    .default(''),
});

const heldAnswer = z.object({
  held: heldTag,
  current: z.string().optional().describe('Where the upstream pointed the tag when it was last asked.'),
  parts,
});
const movedAnswer = z.object({
  moved: z
    .object({
      image: z.string(),
      digest: z.string(),
      from: z.string().optional().describe('Where it pointed until now; absent where the tag was deleted.'),
    })
    .describe('A tag of a hosted repository, which is moved and not held.'),
});
const rollbackAnswer = z.union([heldAnswer, movedAnswer]);
export type RollbackAnswer = z.infer<typeof rollbackAnswer>;

/**
 * Rejects with an `OciError` where the text names no image, with a `HoldError` where the tag never pointed to the digest, and
 * with the failure of the upstream where the manifest is neither stored nor can be fetched.
 */
const rollback: Operation<
  z.infer<typeof rollbackInput>,
  RollbackAnswer,
  ContextOf<'rollback'> & Pick<HistoryContext, 'originFor' | 'hosted'>
> = {
  name: 'rollback',
  action: 'admin',
  changes: true,
  input: rollbackInput,
  answer: rollbackAnswer,
  async handle({ image: text, until, reason }, { cache, catalogue, originFor, hosted }) {
    const { repository, tag, digest } = oneTag(catalogue, text);
    if (digest === undefined) {
      throw new HoldError(`${text} names no digest; write IMAGE:TAG@sha256:… as \`entrepot history\` lists it`);
    }
    if (isHostedIn(catalogue, repository)) {
      const how = { current: hosted.current, until, reason };
      return { moved: await rollBackHosted({ repository, tag, digest }, how) };
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

const unholdInput = z.object({ image });

const unholdAnswer = z.object({
  image: z.string(),
  ended: hold.optional().describe('The hold that ended; absent where the tag was not held.'),
});
export type UnholdAnswer = z.infer<typeof unholdAnswer>;

/** Rejects with an `OciError` where the text names no image, and with a `HoldError` where it names a digest. */
const unhold: Operation<z.infer<typeof unholdInput>, UnholdAnswer, ContextOf<'unhold'>> = {
  name: 'unhold',
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
  const slash = repository.indexOf('/');
  const split = { registry: repository.slice(0, slash), repository: repository.slice(slash + 1) };
  return { repository: split, tag, digest };
}

export function holdOf({ digest, heldAt, until, reason }: TagHold): z.infer<typeof hold> {
  return { digest, since: heldAt, ...(until === undefined ? {} : { until }), reason };
}

export function imageOf({ repository, tag }: { readonly repository: Repository; readonly tag: string }): string {
  return `${repository.registry}/${repository.repository}:${tag}`;
}
