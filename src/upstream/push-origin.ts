import type { Via } from '../lib/index.ts';
import {
  type AppendUploadOptions,
  type BlobOptions,
  type Digest,
  type FinishUploadOptions,
  isKnownTo,
  isRepositoryName,
  type OriginOptions,
  type PushOrigin,
  type PutManifestOptions,
  type Reference,
  type ReferrersOptions,
  type Repository,
  type StartUploadOptions,
  type UploadPlace,
  type Visibility,
} from '../oci/index.ts';
import {
  appendUpload,
  cancelUpload,
  deleteBlob,
  deleteManifest,
  finishUpload,
  headBlob,
  headManifest,
  listReferrers,
  putManifest,
  startUpload,
  uploadStatus,
} from './api/index.ts';
import { UpstreamError } from './error.ts';
import { nameAt, type Upstream } from './upstream.ts';

/** The upstream of a registry that takes its pushes. It alone is asked: what another one has says nothing of a push. */
export class UpstreamPushOrigin implements PushOrigin {
  readonly upstream: string;
  readonly visibility: Visibility;
  readonly #upstream: Upstream;
  readonly #via: Via | undefined;

  constructor(upstream: Upstream, via: Via | undefined) {
    this.upstream = upstream.name;
    this.visibility = isKnownTo(upstream.spec) ? 'private' : 'public';
    this.#upstream = upstream;
    this.#via = via;
  }

  async headManifest(repository: Repository, reference: Reference, { signal }: OriginOptions = {}) {
    return headManifest(this.#upstream, { ...this.#asked(repository, signal), reference, isForPush: true });
  }

  async headBlob(repository: Repository, digest: Digest, { signal, size }: BlobOptions = {}) {
    return headBlob(this.#upstream, { ...this.#asked(repository, signal), digest, size, isForPush: true });
  }

  async listReferrers(repository: Repository, digest: Digest, { signal, page }: ReferrersOptions = {}) {
    const query = { kind: 'referrers', digest, ...(page === undefined ? {} : { page }) } as const;
    return listReferrers(this.#upstream, { ...this.#asked(repository, signal), query });
  }

  async startUpload(repository: Repository, { mount, algorithm, signal }: StartUploadOptions = {}) {
    const from = mount && { digest: mount.digest, from: this.#nameOf(mount.from) };
    return startUpload(this.#upstream, { ...this.#asked(repository, signal), mount: from, algorithm });
  }

  async appendUpload(repository: Repository, place: UploadPlace, options: AppendUploadOptions) {
    return appendUpload(this.#upstream, { ...options, ...this.#asked(repository, options.signal), place });
  }

  async finishUpload(repository: Repository, place: UploadPlace, options: FinishUploadOptions) {
    return finishUpload(this.#upstream, { ...options, ...this.#asked(repository, options.signal), place });
  }

  async uploadStatus(repository: Repository, place: UploadPlace, { signal }: OriginOptions = {}) {
    return uploadStatus(this.#upstream, { ...this.#asked(repository, signal), place });
  }

  async cancelUpload(repository: Repository, place: UploadPlace, { signal }: OriginOptions = {}) {
    return cancelUpload(this.#upstream, { ...this.#asked(repository, signal), place });
  }

  async putManifest(repository: Repository, reference: Reference, options: PutManifestOptions) {
    return putManifest(this.#upstream, { ...options, ...this.#asked(repository, options.signal), reference });
  }

  async deleteManifest(repository: Repository, reference: Reference, { signal }: OriginOptions = {}) {
    return deleteManifest(this.#upstream, { ...this.#asked(repository, signal), reference });
  }

  async deleteBlob(repository: Repository, digest: Digest, { signal }: OriginOptions = {}) {
    return deleteBlob(this.#upstream, { ...this.#asked(repository, signal), digest });
  }

  #asked(repository: Repository, signal: AbortSignal | undefined) {
    signal?.throwIfAborted();
    return { repository: this.#nameOf(repository), via: this.#via, signal };
  }

  /** @throws {UpstreamError} for what is no name: URLs are built from checked names only */
  #nameOf({ repository }: Repository): string {
    if (!isRepositoryName(repository)) {
      throw new UpstreamError('that is no repository name', { kind: 'not-found', upstream: this.upstream });
    }
    return nameAt(this.#upstream, repository);
  }
}
