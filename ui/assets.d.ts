/** What the build leaves in ui/built/assets.js: the page of the console, ready to be sent. */

export interface Asset {
  readonly contentType: string;
  /** Base64 of the gzipped file. */
  readonly gzip: string;
  /** A hash of the file, for its ETag. */
  readonly hash: string;
}

/** By the name under /ui/. `index.html` is the page; the names of all others hold a hash of their content. */
export const ASSETS: Readonly<Record<string, Asset>>;
