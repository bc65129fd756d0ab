import { Scrub, type ScrubRows, type Verification } from '../../cache/index.ts';
import type { Digest } from '../../oci/index.ts';
import type { BlobStore, HostedStore } from '../../store/index.ts';
import type { Telemetry } from '../../telemetry/index.ts';

interface HostedScrubOptions {
  readonly store: BlobStore;
  readonly records: HostedStore;
  readonly verification: Pick<Verification, 'inspect'>;
  readonly telemetry: Telemetry;
}

/**
 * A scrub of hosted content: every file is hashed, and every record has its file. What is corrupt is quarantined, as a read does; its
 * records stay, and a push brings the bytes back.
 */
export function createHostedScrub({ store, records, verification, telemetry }: HostedScrubOptions): Scrub {
  /** What this scrub has reported. */
  const reported = new Set<Digest>();
  const rows: ScrubRows = {
    async totals() {
      reported.clear();
      const { digests: blobs, bytes } = await records.totals();
      return { blobs, bytes };
    },
    async getBlob(digest) {
      return (await records.isReferenced(digest)) ? { digest, size: 0, kind: 'hosted', storedAt: 0 } : undefined;
    },
    async listBlobs(page) {
      const found = await records.listDigests(page);
      return found.map(({ digest, size }) => ({ digest, size, kind: 'hosted', storedAt: 0 }));
    },
  };
  return new Scrub({
    store,
    metadata: rows,
    telemetry,
    verification: {
      async inspect(digest, options) {
        const finding = await verification.inspect(digest, options);
        if (typeof finding === 'object') reported.add(digest);
        if (finding !== 'removed' || reported.has(digest) || !(await records.isReferenced(digest))) return finding;
        // It was found lost before: the repository misses it still.
        return { reason: 'missing', detail: 'its file is missing' };
      },
    },
  });
}
