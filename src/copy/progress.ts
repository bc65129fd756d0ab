import type { Digest } from '../oci/index.ts';

/** How far the copy of one image is. */
export class CopyProgress {
  digest: Digest | undefined;
  /** Bytes in all, as far as manifests are known. */
  size = 0;
  /** Bytes that the destination has. */
  bytes = 0;
  /** Bytes that were sent. */
  sent = 0;
  blobCount = 0;
  /** Blobs that the destination has, and of them those that were mounted, and those that were there. */
  blobs = 0;
  mounted = 0;
  skipped = 0;
  /** Manifests that were sent. */
  manifests = 0;

  /** Another attempt looks at everything again; what was sent stays counted. */
  restart(): void {
    this.size = 0;
    this.bytes = 0;
    this.blobCount = 0;
    this.blobs = 0;
    this.skipped = 0;
  }
}
