import type { BlobRows } from '../../cache/index.ts';
import { Lru } from '../../lib/index.ts';
import type { Digest } from '../../oci/index.ts';
import type { BlobRecord, HostedStore } from '../../store/index.ts';

/** Lost files that are remembered as such. */
const REMEMBERED = 10_000;

/**
 * What the records of repositories say of hosted files, for their verification.
 *
 * A record is never deleted because its file is lost: the repository still has what was pushed to it, and a new push brings the bytes
 * back. So that the loss is published once, it is remembered here until then.
 */
export class HostedRows implements BlobRows {
  readonly #records: HostedStore;
  readonly #lost = new Lru<true>({ maxWeight: REMEMBERED });

  constructor(records: HostedStore) {
    this.#records = records;
  }

  async getBlob(digest: Digest): Promise<BlobRecord | undefined> {
    if (this.#lost.get(digest) === true) return undefined;
    const [repository] = await this.#records.repositoriesOf(digest, 1);
    if (repository === undefined) return undefined;
    const record =
      (await this.#records.getBlob(repository, digest)) ?? (await this.#records.getManifest(repository, digest));
    return record && { digest, size: record.size, kind: 'hosted', storedAt: 0 };
  }

  async putBlob({ digest }: BlobRecord): Promise<void> {
    this.#lost.delete(digest);
  }

  async noteVerified(digest: Digest): Promise<void> {
    this.#lost.delete(digest);
  }

  async deleteBlob(digest: Digest): Promise<void> {
    this.#lost.set(digest, true);
  }
}
