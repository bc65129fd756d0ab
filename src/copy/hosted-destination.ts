import type { PullThrough } from '../cache/index.ts';
import type { Hosting } from '../hosting/index.ts';
import { TaskError } from '../jobs/index.ts';
import { type Digest, OciError, type Reference, type Repository } from '../oci/index.ts';
import { orAbsent } from './absent.ts';
import { BlobBody } from './blob-body.ts';
import type { BlobToSend, CopyDestination } from './destination.ts';
import type { CopiedManifest } from './source.ts';

export interface HostedDestinationOptions {
  readonly hosting: Pick<Hosting, 'blobs' | 'manifests' | 'uploads'>;
  readonly cache: Pick<PullThrough, 'isMember'>;
  /** Who copies, as rules write it. */
  readonly by: string;
}

/** A hosted repository. What this server has already, in the cache or in another repository, is linked and not written again. */
export class HostedDestination implements CopyDestination {
  readonly repository: Repository;
  readonly registry = undefined;
  readonly #options: HostedDestinationOptions;

  constructor(repository: Repository, options: HostedDestinationOptions) {
    this.repository = repository;
    this.#options = options;
  }

  async hasBlob(digest: Digest): Promise<boolean> {
    return (await orAbsent(this.#options.hosting.blobs.head(this.repository, digest))) !== undefined;
  }

  async find(reference: Reference): Promise<Digest | undefined> {
    const { manifests } = this.#options.hosting;
    return (await orAbsent(manifests.read(this.repository, reference, { head: true })))?.manifest.digest;
  }

  async sendBlob({ digest, size, source, open, onBytes, signal }: BlobToSend): Promise<'mounted' | 'sent'> {
    const { hosting, cache } = this.#options;
    const { uploads } = hosting;
    if (source.isHosted) {
      if ((await uploads.mount(this.repository, digest, source.repository)) !== undefined) return 'mounted';
    } else if (await cache.isMember(source.repository, digest)) {
      if ((await uploads.take(this.repository, digest)) !== undefined) return 'mounted';
    }
    const blob = await open();
    const body = new BlobBody(blob.reader, { onBytes, signal });
    try {
      await uploads.pushWhole(this.repository, digest, { length: blob.size ?? size, source: body });
    } finally {
      await body.release();
    }
    return 'sent';
  }

  async putManifest(reference: Reference, { bytes, mediaType }: CopiedManifest): Promise<void> {
    const condition = { ifMatch: undefined, ifNoneMatch: undefined };
    const push = { reference, bytes, contentType: mediaType, tags: [], condition, by: this.#options.by, client: '' };
    try {
      await this.#options.hosting.manifests.put(this.repository, push);
    } catch (error) {
      if (!(error instanceof OciError) || error.code !== 'MANIFEST_BLOB_UNKNOWN') throw error;
      const { registry } = this.repository;
      const remedy = `copy it without --platform, or set sparse: true for ${registry}`;
      throw new TaskError(`${error.message.replace(/; push it first$/, '')}; ${remedy}`, { isPassing: false });
    }
  }

  /** Its list is made of the manifests themselves. */
  async listReferrers(): Promise<number> {
    return 0;
  }
}
