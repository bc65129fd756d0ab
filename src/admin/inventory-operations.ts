import * as z from 'zod';
import type { Caller, Operation } from './operation.ts';
import { bytes, image, next, pageInput, search, time } from './page.ts';

const home = z
  .enum(['mirrored', 'hosted'])
  .describe('`mirrored`: fetched from an upstream. `hosted`: pushed to this server.');

const lastPull = {
  pulledAt: time.exactOptional().describe('The last pull; absent where none is recorded.'),
  pulledBy: z
    .string()
    .exactOptional()
    .describe('The user of the last pull, or the address of the client; for that user, and for those who may `admin`.'),
};

const repositoriesInput = z.object({
  ...pageInput,
  search: search.describe('Words that the name must hold.'),
  registry: search.describe('Of this registry alone.'),
  home: home.optional(),
});
export type RepositoriesInput = z.infer<typeof repositoriesInput>;

const repositoryEntry = z.object({
  registry: z.string(),
  repository: z.string(),
  home,
  tags: z.number().describe('Tags that are cached or hosted; counted up to 1000.'),
  ...lastPull,
});
export type RepositoryEntry = z.infer<typeof repositoryEntry>;

const repositoriesAnswer = z.object({
  repositories: z.array(repositoryEntry).readonly().describe('By registry, then by name.'),
  next,
});
export type RepositoriesAnswer = z.infer<typeof repositoriesAnswer>;

const tagsInput = z.object({ ...pageInput, image: image.describe('A repository: `docker.io/library/nginx`.'), search });
export type TagsInput = z.infer<typeof tagsInput>;

const tagEntry = z.object({
  tag: z.string().describe('Empty for a manifest without a tag.'),
  digest: z.string(),
  mediaType: z.string(),
  bytes: bytes
    .exactOptional()
    .describe('Bytes of the image, all platforms that are kept together; absent where not all of them are known.'),
  storedBytes: bytes.describe('Of these, bytes that are stored here.'),
  complete: z
    .boolean()
    .describe('True: every byte of it is stored here. Platforms that `cache.platforms` leaves out do not count.'),
  platforms: z
    .array(z.string())
    .readonly()
    .describe('All that it names, stored or not: `linux/amd64`; empty for what has none.'),
  storedPlatforms: z.array(z.string()).readonly().exactOptional().describe('Those of them that are stored whole.'),
  checkedAt: time.exactOptional().describe('When an upstream last confirmed it, or when it was pushed here.'),
  freshUntil: time.exactOptional().describe('Until then no upstream is asked; absent for a hosted or held tag.'),
  held: z.literal(true).exactOptional().describe('An operator holds it: the digest is the one that it is held at.'),
  pinned: z.enum(['configuration', 'operator']).exactOptional().describe('Never evicted, by `cache.pin` or by `pin`.'),
  ...lastPull,
});
export type TagListEntry = z.infer<typeof tagEntry>;

const tagsAnswer = z.object({
  image: z.string().describe('The repository, completed.'),
  home,
  tags: z.array(tagEntry).readonly().describe('Tags by name, versions in their order, then manifests without a tag.'),
  next,
});
export type TagsAnswer = z.infer<typeof tagsAnswer>;

const node = z.object({
  digest: z.string(),
  mediaType: z.string(),
  artifactType: z.string().exactOptional(),
  platform: z.string().exactOptional(),
  stored: z.boolean().describe('True: the manifest itself is stored.'),
  complete: z
    .boolean()
    .describe('True: every byte below it is stored too, but for platforms that `cache.platforms` leaves out.'),
  bytes: bytes.exactOptional(),
  storedBytes: bytes,
});

const layer = z.object({
  digest: z.string(),
  mediaType: z.string(),
  bytes: bytes.exactOptional(),
  stored: z.boolean(),
});

const imageInput = z.object({ image: image.describe('`nginx`, `ghcr.io/owner/app:1`, `…@sha256:…`.') });

const imageAnswer = z.object({
  image: z.string().describe('Completed: `docker.io/library/nginx:latest`.'),
  registry: z.string(),
  repository: z.string(),
  home,
  entry: tagEntry,
  children: z.array(node).readonly().describe('Of an index: its images and artifacts; at most 200.'),
  layers: z.array(layer).readonly().describe('Of an image: its config and layers; at most 500.'),
  referrers: z.array(node).readonly().describe('Signatures, attestations and others that refer to it; at most 200.'),
  created: z.string().exactOptional().describe('From the config of the image, as it has it.'),
  hold: z.object({ digest: z.string(), since: time, until: time.exactOptional(), reason: z.string() }).exactOptional(),
});
/** One image with its parts. */
export type ImageAnswer = z.infer<typeof imageAnswer>;

const pinAnswer = z.object({ image: z.string(), changed: z.boolean().describe('False: it was so already.') });
export type PinAnswer = z.infer<typeof pinAnswer>;

/** What the operations on stored images act on. */
export interface InventoryContext {
  readonly inventory: {
    repositories(input: RepositoriesInput, caller: Caller): Promise<RepositoriesAnswer>;
    /** Rejects with an `OciError` where the text names no repository, or one that is not here or not for the caller. */
    tags(input: TagsInput, caller: Caller): Promise<TagsAnswer>;
    /** Rejects with an `OciError`, as `tags`. */
    image(text: string, caller: Caller): Promise<ImageAnswer>;
    /** Rejects with an `OciError` where the text names no tag of a mirrored repository. */
    pin(text: string, pinned: boolean): Promise<PinAnswer>;
  };
}

const repositories: Operation<RepositoriesInput, RepositoriesAnswer, InventoryContext> = {
  name: 'repositories',
  summary: 'The repositories that are cached or hosted',
  action: 'status',
  changes: false,
  input: repositoriesInput,
  answer: repositoriesAnswer,
  handle: (input, context, caller) => context.inventory.repositories(input, caller),
};

const tags: Operation<TagsInput, TagsAnswer, InventoryContext> = {
  name: 'tags',
  summary: 'The tags of a repository, and its manifests without one',
  action: 'status',
  changes: false,
  input: tagsInput,
  answer: tagsAnswer,
  handle: (input, context, caller) => context.inventory.tags(input, caller),
};

const imageOperation: Operation<z.infer<typeof imageInput>, ImageAnswer, InventoryContext> = {
  name: 'image',
  summary: 'One image with its platforms, layers and referrers, and what of them is stored',
  action: 'status',
  changes: false,
  input: imageInput,
  answer: imageAnswer,
  handle: (input, context, caller) => context.inventory.image(input.image, caller),
};

const pinning = (pinned: boolean): Operation<z.infer<typeof imageInput>, PinAnswer, InventoryContext> => ({
  name: pinned ? 'pin' : 'unpin',
  summary: pinned
    ? 'Pin a tag, so that its image is never evicted'
    : 'End the pin of a tag, so that its image may be evicted',
  action: 'admin',
  changes: true,
  input: imageInput,
  answer: pinAnswer,
  handle: (input, context) => context.inventory.pin(input.image, pinned),
});

export const INVENTORY_OPERATIONS = {
  repositories,
  tagList: tags,
  image: imageOperation,
  pin: pinning(true),
  unpin: pinning(false),
};
