import { buildImage, buildReferrer, type Content, content, jsonContent, platformOf } from './image.ts';

// What a hosted repository has after each request, written from the words of docs/hosting.md.

/** A manifest, and what it names. */
export interface ModelManifest extends Content {
  readonly blobs: readonly string[];
  /** Of an index. */
  readonly children: readonly string[];
  readonly subject: string | undefined;
}

/** What clients push in the model: small, and few, so that repositories come to have the same. */
export interface Pool {
  readonly blobs: readonly Content[];
  readonly manifests: readonly ModelManifest[];
}

/** @param more blobs that repositories elsewhere have */
export function buildPool(more: readonly Content[]): Pool {
  const image = platformOf(buildImage({ seed: 'pool', layers: [512], architectures: ['amd64'] }), 'amd64');
  const other = platformOf(buildImage({ seed: 'another', layers: [300], architectures: ['amd64'] }), 'amd64');
  const empty = content('application/octet-stream', Buffer.alloc(0));
  const named = (manifest: Content, names: Partial<ModelManifest>): ModelManifest => ({
    blobs: [],
    children: [],
    subject: undefined,
    ...manifest,
    ...names,
  });
  const images = [image, other].map(({ manifest, config, layers }) =>
    named(manifest, { blobs: [config.digest, ...layers.map(({ digest }) => digest)] }),
  );
  /** One of a config of ours and a layer that is elsewhere. */
  const borrowed = more.map((layer) =>
    named(
      jsonContent(image.manifest.mediaType, {
        schemaVersion: 2,
        mediaType: image.manifest.mediaType,
        config: descriptor(image.config),
        layers: [descriptor(layer)],
      }),
      { blobs: [image.config.digest, layer.digest] },
    ),
  );
  const notes = images.map((subject) => {
    const { manifest, blobs } = buildReferrer(subject);
    return { blobs, manifest: named(manifest, { blobs: blobs.map(({ digest }) => digest), subject: subject.digest }) };
  });
  const mediaType = 'application/vnd.oci.image.index.v1+json';
  const [first] = images;
  const index = named(jsonContent(mediaType, { schemaVersion: 2, mediaType, manifests: images.map(descriptor) }), {
    children: images.map(({ digest }) => digest),
  });
  const single = named(
    jsonContent(mediaType, { schemaVersion: 2, mediaType, manifests: first ? [descriptor(first)] : [] }),
    {
      children: first ? [first.digest] : [],
    },
  );
  const blobs = [image.config, ...image.layers, other.config, ...other.layers, ...notes.flatMap((note) => note.blobs)];
  const unique = new Map([...blobs, empty, ...more].map((blob) => [blob.digest, blob]));
  return {
    blobs: [...unique.values()],
    manifests: [...images, ...borrowed, ...notes.map(({ manifest }) => manifest), index, single],
  };
}

/** A repository whose home is the server. */
export class HostedModel {
  readonly blobs = new Set<string>();
  readonly manifests = new Map<string, ModelManifest>();
  readonly tags = new Map<string, string>();
  readonly #isImmutable: (tag: string) => boolean;

  constructor(isImmutable: (tag: string) => boolean) {
    this.#isImmutable = isImmutable;
  }

  /** Why a manifest cannot be put; nothing where it can. Changes nothing. */
  faultsOf(manifest: ModelManifest, tags: readonly string[]): readonly ('missing' | 'immutable')[] {
    const isMissing =
      manifest.blobs.some((digest) => !this.blobs.has(digest)) ||
      manifest.children.some((digest) => !this.manifests.has(digest));
    const isImmutable = tags.some((tag) => {
      const now = this.tags.get(tag);
      return this.#isImmutable(tag) && now !== undefined && now !== manifest.digest;
    });
    return [...(isMissing ? (['missing'] as const) : []), ...(isImmutable ? (['immutable'] as const) : [])];
  }

  put(manifest: ModelManifest, tags: readonly string[]): void {
    this.manifests.set(manifest.digest, manifest);
    for (const tag of tags) this.tags.set(tag, manifest.digest);
  }

  /** The status of the deletion of a tag. */
  deleteTag(tag: string): number {
    if (!this.tags.has(tag)) return 404;
    if (this.#isImmutable(tag)) return 405;
    this.tags.delete(tag);
    return 202;
  }

  /** The status of the deletion of a manifest by its digest. */
  deleteManifest(digest: string): number {
    if (!this.manifests.has(digest)) return 404;
    if ([...this.manifests.values()].some(({ children }) => children.includes(digest))) return 405;
    const pointing = [...this.tags].filter(([, to]) => to === digest).map(([tag]) => tag);
    if (pointing.some((tag) => this.#isImmutable(tag))) return 405;
    this.manifests.delete(digest);
    for (const tag of pointing) this.tags.delete(tag);
    return 202;
  }

  /** The status of the deletion of a blob. */
  deleteBlob(digest: string): number {
    if (!this.blobs.has(digest)) return 404;
    if ([...this.manifests.values()].some(({ blobs }) => blobs.includes(digest))) return 405;
    this.blobs.delete(digest);
    return 202;
  }

  referrersOf(subject: string): readonly string[] {
    return [...this.manifests.values()]
      .filter((manifest) => manifest.subject === subject)
      .map(({ digest }) => digest)
      .toSorted();
  }
}

function descriptor({ mediaType, digest, size }: Content) {
  return { mediaType, digest, size };
}
