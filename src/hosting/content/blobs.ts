import { answerStored, type BlobAnswer, type BlobHead } from '../../cache/index.ts';
import { type Digest, OciError, type Repository } from '../../oci/index.ts';
import type { HostedBlob, HostedStore } from '../../store/index.ts';
import type { Telemetry } from '../../telemetry/index.ts';
import type { DigestLocks } from '../digest-locks.ts';
import type { Actor } from './actor.ts';
import type { HostedFiles } from './files.ts';
import { deleteRefused } from './refusals.ts';

interface HostedBlobsOptions {
  readonly files: HostedFiles;
  readonly records: HostedStore;
  readonly locks: DigestLocks;
  readonly telemetry: Telemetry;
  readonly now: () => number;
}

/** The blobs of hosted repositories. A blob is served only through a repository that it was pushed or mounted to. */
export class HostedBlobs {
  readonly #options: HostedBlobsOptions;

  constructor(options: HostedBlobsOptions) {
    this.#options = options;
  }

  /**
   * The size of a blob. It counts as a use: a client that hears that a blob exists does not push it.
   *
   * @throws {OciError} BLOB_UNKNOWN
   */
  async head(repository: Repository, digest: Digest): Promise<BlobHead> {
    const { records, files, now } = this.#options;
    const blob = await records.useBlob(repository, digest, now());
    if (blob === undefined || !(await files.has(repository, blob))) throw unknown(repository, digest);
    return { size: blob.size, outcome: 'HIT', upstream: undefined };
  }

  /** Bytes of a blob, by its record. */
  async size(repository: Repository, digest: Digest): Promise<number | undefined> {
    return (await this.#options.records.getBlob(repository, digest))?.size;
  }

  /**
   * Opens a blob, or a range of it.
   *
   * @param how `range`: the `Range` header
   * @throws {OciError} BLOB_UNKNOWN, RANGE_INVALID
   */
  async open(
    repository: Repository,
    digest: Digest,
    { range, signal }: { readonly range: string | undefined; readonly signal?: AbortSignal | undefined },
  ): Promise<BlobAnswer> {
    const { records, files } = this.#options;
    const blob = await records.getBlob(repository, digest);
    const checked = blob && (await files.open(repository, blob, signal));
    if (checked === undefined) throw unknown(repository, digest);
    return answerStored(checked, { digest, range, verification: files.verification });
  }

  /** Removes a blob from a repository; its file goes with its last record. @throws {OciError} BLOB_UNKNOWN; 405 where it is in use */
  async delete(repository: Repository, digest: Digest, { by }: Pick<Actor, 'by'>): Promise<void> {
    const { records, files, locks, telemetry } = this.#options;
    const outcome = await locks.run(digest, async () => {
      const deleted = await records.deleteBlob(repository, digest);
      if (deleted === 'deleted') await files.deleteUnreferenced(digest);
      return deleted;
    });
    if (outcome === undefined) throw unknown(repository, digest);
    if (outcome === 'in use') {
      throw deleteRefused('a manifest of the repository names this blob; delete the manifest first', 'GET, HEAD');
    }
    telemetry.publish('blob.deleted', { ...repository, digest, by });
  }
}

function unknown({ registry, repository }: Repository, digest: HostedBlob['digest']): OciError {
  return new OciError('BLOB_UNKNOWN', `${registry}/${repository} has no blob ${digest}`);
}
