import * as z from 'zod';
import type { Operation, UploadOperation } from './operation.ts';
import { bytes, image, platforms, time } from './page.ts';

/** Images of one question. An image has some hundred parts, and an answer has its bound. */
const MAX_IMAGES = 50;

const part = z.object({
  digest: z.string(),
  kind: z.enum(['manifest', 'blob']),
  size: bytes.exactOptional().describe('Absent where it is not known.'),
  stored: z.boolean(),
  optional: z.literal(true).exactOptional().describe('The image is whole without it.'),
});
export type CarriedPart = z.infer<typeof part>;

const tree = z.object({
  digest: z.string(),
  mediaType: z.string(),
  visibility: z.enum(['public', 'private']),
  confirmedAt: time.exactOptional(),
  parts: z.array(part).readonly().describe('Each digest once, manifests before what they name.'),
});

const planned = z.object({
  image: z.string().describe('Completed; as it was given where it names no image.'),
  repository: z.string().exactOptional(),
  home: z.enum(['mirrored', 'hosted']).exactOptional(),
  complete: z.boolean().describe('True: all that the image needs is stored here.'),
  error: z.string().exactOptional().describe('Why it names no image.'),
  tree: tree.exactOptional().describe('Absent where nothing is known of the image here.'),
  missingPlatforms: z
    .array(z.string())
    .readonly()
    .describe('Platforms that were wanted and that the image does not have.'),
  attached: z
    .array(tree.extend({ tag: z.string().exactOptional() }))
    .readonly()
    .describe('Signatures, attestations and others that are whole here.'),
});
/** What it takes to carry one image away, and what of it is stored here. */
export type PlannedImage = z.infer<typeof planned>;

const begun = z.object({
  id: z.string(),
  lease: z.number().describe('Milliseconds within which it has to be renewed; else what it holds may be evicted.'),
  offline: z.boolean().describe('True: the server asks no upstream, so nothing can be fetched.'),
});
export type CarryBegun = z.infer<typeof begun>;

const planInput = z.object({
  id: z.string().max(100),
  images: z.array(image).min(1).max(MAX_IMAGES, `expected at most ${MAX_IMAGES} images`).readonly(),
  platforms,
});
type PlanInput = z.infer<typeof planInput>;
const plan = z.object({ images: z.array(planned).readonly() });

const attachedInput = z.object({
  images: z.array(image).min(1).max(MAX_IMAGES, `expected at most ${MAX_IMAGES} images`).readonly(),
});
const attached = z.object({
  names: z
    .array(z.string())
    .readonly()
    .describe('Signatures, attestations and others that upstreams have of the images.'),
  failed: z
    .array(z.object({ image: z.string(), error: z.string() }))
    .readonly()
    .describe('Whose upstream did not say.'),
});
export type AttachedNames = z.infer<typeof attached>;

const one = z.object({ id: z.string().max(100) });
const isOn = z.object({ on: z.boolean().describe('False: it had ended before.') });

const imported = z.object({
  images: z
    .array(
      z.object({
        image: z.string(),
        digest: z.string(),
        outcome: z.enum(['imported', 'unchanged', 'newer', 'refused']),
        reason: z.string().exactOptional(),
      }),
    )
    .readonly(),
  blobs: z.number().describe('Blobs that were stored now.'),
  bytes,
  present: z.number().describe('Blobs that were stored before.'),
  damaged: z.array(z.string()).readonly().describe('Blobs whose bytes have another digest.'),
});
export type ImportedBundle = z.infer<typeof imported>;

/** What the operations on bundles act on. */
export interface CarryContext {
  readonly carry: {
    /** Begins to hold what `plan` finds. Rejects where too many do. */
    begin(): Promise<CarryBegun>;
    /** Rejects where it has ended, and with a `BundleError` where a platform is none. */
    plan(input: PlanInput): Promise<readonly PlannedImage[]>;
    /** Asks the upstreams of stored images what belongs to them. */
    attached(images: readonly string[]): Promise<AttachedNames>;
    /** False where it has ended. */
    renew(id: string): boolean;
    end(id: string): boolean;
    /** Rejects with a `BundleError` where the stream is no bundle. */
    import(body: AsyncIterable<Buffer>): Promise<ImportedBundle>;
  };
}

const carryBegin: Operation<object, CarryBegun, CarryContext> = {
  name: 'carry/begin',
  summary: 'Begin to hold what images are made of, so that none of it is evicted',
  socketOnly: true,
  action: 'admin',
  changes: true,
  input: z.object({}),
  answer: begun,
  handle: (_, { carry }) => carry.begin(),
};

/** Finds what images are made of; what is stored is not evicted until the end. */
const carryPlan: Operation<PlanInput, z.infer<typeof plan>, CarryContext> = {
  name: 'carry/plan',
  summary: 'What images are made of, and what of it is stored',
  socketOnly: true,
  action: 'admin',
  changes: true,
  input: planInput,
  answer: plan,
  handle: async (input, { carry }) => ({ images: await carry.plan(input) }),
};

const carryAttached: Operation<z.infer<typeof attachedInput>, AttachedNames, CarryContext> = {
  name: 'carry/attached',
  summary: 'Signatures and other referrers that upstreams have of images',
  socketOnly: true,
  action: 'admin',
  changes: true,
  input: attachedInput,
  answer: attached,
  handle: ({ images }, { carry }) => carry.attached(images),
};

const carryRenew: Operation<z.infer<typeof one>, z.infer<typeof isOn>, CarryContext> = {
  name: 'carry/renew',
  summary: 'Go on to hold',
  socketOnly: true,
  action: 'admin',
  changes: true,
  input: one,
  answer: isOn,
  handle: ({ id }, { carry }) => ({ on: carry.renew(id) }),
};

const carryEnd: Operation<z.infer<typeof one>, z.infer<typeof isOn>, CarryContext> = {
  name: 'carry/end',
  summary: 'Hold no longer',
  socketOnly: true,
  action: 'admin',
  changes: true,
  input: one,
  answer: isOn,
  handle: ({ id }, { carry }) => ({ on: carry.end(id) }),
};

export const CARRY_OPERATIONS = { carryBegin, carryPlan, carryAttached, carryRenew, carryEnd };

const bundleImport: UploadOperation<ImportedBundle, CarryContext> = {
  name: 'bundle/import',
  answer: imported,
  receive: (body, { carry }) => carry.import(body),
};

/** The operations that take a stream, on the control socket alone. */
export const UPLOADS = { bundleImport };
