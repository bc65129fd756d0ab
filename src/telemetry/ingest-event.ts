import type { Digest } from '../oci/index.ts';

/** The fields that every event of a transfer has. */
export interface IngestEvent {
  readonly id: string;
  /** `mirror:<route>` for a transfer by URL. */
  readonly registry: string;
  /** For a transfer by URL, the URL without its query. */
  readonly repository: string;
  /** For a transfer by URL, undefined until the last byte. */
  readonly digest: Digest | undefined;
  readonly upstream: string;
  /** The id of the request of a client that caused it, where one did. */
  readonly request?: string | undefined;
}

/** What several connections did for a transfer; nothing where it had one. */
export interface SplitEnded {
  /** The most connections that it used at once; its rate at best as a multiple of that with one. */
  readonly connections?: number;
  readonly gain?: number;
  /** Bytes that each upstream delivered. */
  readonly upstreams?: readonly { readonly upstream: string; readonly bytes: number }[];
}
