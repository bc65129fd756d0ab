import type { Hosting } from '../hosting/index.ts';
import type { HostedTag } from '../store/index.ts';
import { limitOf } from './mirrored-shelf.ts';
import type { Shelf, ShelfTag } from './shelf.ts';

/** What of hosted repositories an inventory reads. */
export type HostedParts = Pick<Hosting, 'records' | 'manifests' | 'blobs'>;

/** Referrers read at a time: each may have annotations of some megabytes. */
const REFERRERS_AT_ONCE = 10;

/** What was pushed to this server, as its records have it. Reading it here is no use of it. */
export function createHostedShelf({ records, manifests, blobs }: HostedParts): Shelf {
  const describe = ({ tag, digest, mediaType, size, movedAt }: HostedTag): ShelfTag => ({
    tag,
    digest,
    mediaType,
    size,
    checkedAt: movedAt,
  });
  return {
    home: 'hosted',
    has: (repository) => records.hasRepository(repository),
    async tag(repository, tag) {
      const found = await records.getTag(repository, tag);
      return found && describe(found);
    },
    async tags(repository, page) {
      return (await records.listTags(repository, page)).map(describe);
    },
    held: () => Promise.resolve([]),
    async manifest(repository, digest) {
      const found = await records.getManifest(repository, digest);
      return found && { digest, mediaType: found.mediaType, size: found.size };
    },
    async manifests(repository, { after, limit }) {
      const found = await records.listManifests(repository, { after, limit });
      const next = found.length < limit ? undefined : found.at(-1)?.digest;
      return { found: found.map(({ digest, mediaType, size }) => ({ digest, mediaType, size })), next };
    },
    async storedSize(repository, digest) {
      const manifest = await records.getManifest(repository, digest);
      return (manifest ?? (await records.getBlob(repository, digest)))?.size;
    },
    async read(repository, digest, kind) {
      try {
        if (kind === 'manifest') {
          return (await manifests.read(repository, { kind: 'digest', digest }, { head: false })).bytes;
        }
        const { size, reader } = await blobs.open(repository, digest, { range: undefined });
        try {
          if (size === undefined || size > limitOf(kind)) return undefined;
          const bytes = Buffer.allocUnsafeSlow(size);
          for (let filled = 0; filled < size; ) {
            const count = await reader.read(bytes.subarray(filled));
            if (count === 0) return undefined;
            filled += count;
          }
          return bytes;
        } finally {
          reader.close();
        }
      } catch {
        // A lost or unreadable file is shown as what is not known; a pull reports it.
        return undefined;
      }
    },
    async referrers(repository, subject, limit) {
      const found: { digest: ShelfTag['digest']; mediaType: string; size: number; artifactType: string | undefined }[] =
        [];
      for (let after: ShelfTag['digest'] | undefined; found.length < limit; ) {
        const page = await records.listReferrers(repository, subject, { after, limit: REFERRERS_AT_ONCE });
        found.push(
          ...page.map(({ digest, mediaType, size, artifactType }) => ({ digest, mediaType, size, artifactType })),
        );
        after = page.at(-1)?.digest;
        if (page.length < REFERRERS_AT_ONCE) break;
      }
      return found.slice(0, limit);
    },
  };
}
