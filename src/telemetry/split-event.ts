/** What several connections did for a transfer; nothing where it had one. */
export interface SplitEnded {
  /** The most connections that it used at once; its rate at best as a multiple of that with one. */
  readonly connections?: number;
  readonly gain?: number;
  /** Bytes that each upstream delivered. */
  readonly upstreams?: readonly { readonly upstream: string; readonly bytes: number }[];
}
