import { atOnce } from '../../src/lib/index.ts';
import { type Digest, digestOf, MEDIA_TYPES, type Repository, readPushedManifest } from '../../src/oci/index.ts';
import type { BlobStore, HostedStore, NewManifest } from '../../src/store/index.ts';
import { putBlob } from '../suites/blob-store.ts';
import { type Content, jsonContent, type TestImage } from './image.ts';

const CONFIG = 'application/vnd.oci.image.config.v1+json';
const LAYER = 'application/vnd.oci.image.layer.v1.tar+gzip';

/** What is pushed to a hosted repository without a server: files first, then records, as a server does. */
export class HostedContent {
  readonly #store: BlobStore;
  readonly #records: HostedStore;
  #now = 1_700_000_000_000;

  constructor(store: BlobStore, records: HostedStore) {
    this.#store = store;
    this.#records = records;
  }

  /** Milliseconds since 1970; another at each call. */
  now(): number {
    this.#now += 1000;
    return this.#now;
  }

  async blob(repository: Repository, text: string): Promise<{ readonly digest: Digest; readonly size: number }> {
    const bytes = Buffer.from(text);
    const blob = { digest: digestOf(bytes), size: bytes.length };
    await putBlob(this.#store, bytes);
    await this.#records.putBlob(repository, blob, { at: this.now() });
    return blob;
  }

  /** An image of a config and layers. */
  async image(
    repository: Repository,
    text: string,
    {
      layers = [],
      tags = [],
      subject,
    }: { layers?: readonly string[]; tags?: readonly string[]; subject?: Digest } = {},
  ): Promise<Digest> {
    const config = await this.blob(
      repository,
      JSON.stringify({ architecture: 'amd64', os: 'linux', text, rootfs: ROOTFS }),
    );
    const blobs: { readonly digest: Digest; readonly size: number }[] = [];
    for (const layer of layers) blobs.push(await this.blob(repository, layer));
    const manifest = {
      schemaVersion: 2,
      mediaType: MEDIA_TYPES.ociManifest,
      config: { mediaType: CONFIG, ...config },
      layers: blobs.map((each) => ({ mediaType: LAYER, ...each })),
      ...(subject === undefined ? {} : { subject: { mediaType: MEDIA_TYPES.ociManifest, digest: subject, size: 2 } }),
      annotations: { text },
    };
    return this.manifest(repository, manifest, tags);
  }

  /** An index of manifests. */
  index(repository: Repository, children: readonly Digest[], tags: readonly string[] = []): Promise<Digest> {
    const manifests = children.map((digest) => ({ mediaType: MEDIA_TYPES.ociManifest, digest, size: 2 }));
    return this.manifest(repository, { schemaVersion: 2, mediaType: MEDIA_TYPES.ociIndex, manifests }, tags);
  }

  /** An image of several platforms. */
  async push(repository: Repository, image: TestImage, tags: readonly string[]): Promise<void> {
    for (const { bytes, digest, size } of image.blobs) {
      await putBlob(this.#store, bytes, digest);
      await this.#records.putBlob(repository, { digest, size }, { at: this.now() });
    }
    for (const { manifest } of image.platforms) await this.#manifest(repository, manifest, []);
    await this.#manifest(repository, image.index, tags);
  }

  manifest(
    repository: Repository,
    manifest: Readonly<Record<string, unknown>> & { readonly mediaType: string },
    tags: readonly string[],
  ): Promise<Digest> {
    return this.#manifest(repository, jsonContent(manifest.mediaType, manifest), tags);
  }

  async #manifest(
    repository: Repository,
    { bytes, digest, mediaType }: Content,
    tags: readonly string[],
  ): Promise<Digest> {
    const { subject, artifactType, annotations, references } = atOnce(readPushedManifest(bytes, mediaType));
    await putBlob(this.#store, bytes, digest);
    const pushed: NewManifest = {
      digest,
      mediaType,
      size: bytes.length,
      subject,
      artifactType,
      annotations: subject === undefined ? undefined : annotations,
      references: references.map((each) => ({
        digest: each.digest,
        kind: each.kind === 'manifest' ? 'manifest' : 'blob',
      })),
    };
    const how = {
      at: this.now(),
      by: 'alice',
      tags: tags.map((tag) => ({ tag })),
      sparse: ['blob', 'manifest'] as const,
    };
    const { outcome } = await this.#records.putManifest(repository, pushed, how);
    if (outcome !== 'stored') throw new Error(`The manifest was not stored: ${outcome}`);
    return digest;
  }
}

const ROOTFS = { type: 'layers', diff_ids: [] };

/** All that records say, of what is there now: not where tags pointed before, and who pushed. */
export async function contentOfRecords(records: HostedStore): Promise<unknown> {
  const limit = 10_000;
  const repositories = await records.listRepositories({ limit });
  const digests = await records.listDigests({ limit });
  const contents = repositories.map(async (repository) => {
    const manifests = await records.listManifests(repository, { limit });
    const subjects = [...new Set(manifests.flatMap(({ subject }) => subject ?? []))].sort();
    const referrers = subjects.map(async (subject) => [
      subject,
      await records.listReferrers(repository, subject, { limit }),
    ]);
    return {
      repository,
      tags: await records.listTags(repository, { limit }),
      manifests,
      blobs: await records.listBlobs(repository, { limit }),
      referrers: await Promise.all(referrers),
      usage: await records.usage(repository),
    };
  });
  return { contents: await Promise.all(contents), digests, totals: await records.totals() };
}
