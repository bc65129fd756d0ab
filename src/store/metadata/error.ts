/**
 * The names database is damaged, or is no names database. The blobs beside it are not: they can be adopted again by
 * their digests.
 */
export class MetadataCorruptError extends Error {
  override readonly name = 'NamesCorruptError';
  readonly file: string;
  /** What is wrong with it: `it is damaged`. */
  readonly found: string;

  constructor(file: string, options: { readonly found: string; readonly cause?: unknown }) {
    super(
      `Cannot use the names database ${file}: ${options.found}. ` +
        'Move it away, together with the files whose names begin with its own, to start without names: ' +
        'what is cached is kept, and tags are asked for again.',
      { cause: options.cause },
    );
    this.file = file;
    this.found = options.found;
  }
}

/** A newer release wrote the names database, in a form that this one does not know. */
export class MetadataVersionError extends Error {
  override readonly name = 'NamesVersionError';
  readonly file: string;

  constructor(file: string, options: { readonly found: number; readonly known: number }) {
    super(
      `Cannot use the names database ${file}: it has version ${options.found} and this release knows ${options.known}. ` +
        'Run the release that wrote it or a later one, or move it away to start without names.',
    );
    this.file = file;
  }
}
