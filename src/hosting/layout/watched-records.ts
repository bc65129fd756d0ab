import type { Repository } from '../../oci/index.ts';
import type { HostedStore } from '../../store/index.ts';

/**
 * Records that tell of each repository that they change, once the change is stored: what keeps something beside the records hears of every
 * change, whichever way it came.
 */
export function watchRecords(records: HostedStore, onChanged: (repository: Repository) => void): HostedStore {
  /** Tells also of what was refused: looking once too often is cheap. */
  async function noting<T>(repository: Repository, change: Promise<T>): Promise<T> {
    const result = await change;
    onChanged(repository);
    return result;
  }
  return {
    hasRepository: (repository) => records.hasRepository(repository),
    listRepositories: (page) => records.listRepositories(page),
    searchRepositories: (search) => records.searchRepositories(search),
    countTags: (repositories, most) => records.countTags(repositories, most),
    usage: (repository) => records.usage(repository),
    totals: () => records.totals(),
    putBlob: (repository, blob, how) => noting(repository, records.putBlob(repository, blob, how)),
    getBlob: (repository, digest) => records.getBlob(repository, digest),
    useBlob: (repository, digest, at) => records.useBlob(repository, digest, at),
    mountBlob: (repository, digest, how) => noting(repository, records.mountBlob(repository, digest, how)),
    deleteBlob: (repository, digest) => noting(repository, records.deleteBlob(repository, digest)),
    listBlobs: (repository, page) => records.listBlobs(repository, page),
    putManifest: (repository, manifest, how) => noting(repository, records.putManifest(repository, manifest, how)),
    getManifest: (repository, digest) => records.getManifest(repository, digest),
    useManifest: (repository, digest, at) => records.useManifest(repository, digest, at),
    deleteManifest: (repository, digest, how) => noting(repository, records.deleteManifest(repository, digest, how)),
    listManifests: (repository, page) => records.listManifests(repository, page),
    listReferrers: (repository, subject, page) => records.listReferrers(repository, subject, page),
    getTag: (repository, tag) => records.getTag(repository, tag),
    listTags: (repository, page) => records.listTags(repository, page),
    moveTag: (repository, move, how) => noting(repository, records.moveTag(repository, move, how)),
    deleteTag: (repository, tag, how) => noting(repository, records.deleteTag(repository, tag, how)),
    listTagMoves: (repository, tag) => records.listTagMoves(repository, tag),
    listTagNames: (repository, page) => records.listTagNames(repository, page),
    isReferenced: (digest) => records.isReferenced(digest),
    repositoriesOf: (digest, limit) => records.repositoriesOf(digest, limit),
    async collect(options) {
      const collected = await records.collect(options);
      for (const { repository } of collected.removed) onChanged(repository);
      return collected;
    },
    listDigests: (page) => records.listDigests(page),
    backUp: (file) => records.backUp(file),
    close: () => records.close(),
  };
}
