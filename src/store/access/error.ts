/** The file of users and tokens cannot be used. It is never replaced by an empty one, with which all of them would be lost. */
export class AccessStoreError extends Error {
  override readonly name = 'AccessStoreError';
  readonly file: string;
  /** What is wrong, as a clause: `its disk is full`. */
  readonly found: string;
  /** What the operator does about it, in whole sentences. */
  readonly remedy: string;

  constructor(file: string, options: { readonly found: string; readonly remedy?: string; readonly cause?: unknown }) {
    const {
      found,
      remedy = 'Put a copy from your backup in its place. Without one, move the file away, which removes all stored users and tokens, and add them again with `entrepot users add`.',
      cause,
    } = options;
    super(`Cannot use the file of users and tokens ${file}: ${found}. ${remedy}`, { cause });
    this.file = file;
    this.found = found;
    this.remedy = remedy;
  }
}
