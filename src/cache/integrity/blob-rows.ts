import type { MetadataStore } from '../../store/index.ts';

/** What is known of stored blobs, as far as it decides whether they may be served. The metadata of the cache is one; hosted content has its own. */
export type BlobRows = Pick<MetadataStore, 'getBlob' | 'putBlob' | 'noteVerified' | 'deleteBlob'>;
