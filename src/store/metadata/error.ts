/**
 * The metadata database is damaged, or is another program's file. The blobs beside it are unharmed: they can be adopted by
 * their digests.
 */
export class MetadataCorruptError extends Error {
  override readonly name = 'MetadataCorruptError';
  readonly file: string;
  /** The damage: `it is damaged`, `it is empty`. */
  readonly found: string;

  constructor(file: string, options: { readonly found: string; readonly cause?: unknown }) {
    super(
      `Cannot use the metadata database ${file}: ${options.found}. ` +
        'Move it away, together with the files whose names begin with its name, to start with an empty one: ' +
        'cached blobs are kept, and tags are fetched again.',
      { cause: options.cause },
    );
    this.file = file;
    this.found = options.found;
  }
}

/** A newer release wrote the metadata database, in a version this one does not know. */
export class MetadataVersionError extends Error {
  override readonly name = 'MetadataVersionError';
  readonly file: string;

  constructor(file: string, options: { readonly found: number; readonly known: number }) {
    super(
      `Cannot use the metadata database ${file}: it has version ${options.found} and this release knows ${options.known}. ` +
        'Run the release that wrote it or a later one, or move it away to start with an empty one.',
    );
    this.file = file;
  }
}
