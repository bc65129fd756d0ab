/** The file of users and tokens cannot be used. It is never replaced by an empty one, with which all of them would be lost. */
export class AccessStoreError extends Error {
  override readonly name = 'AccessStoreError';
  readonly file: string;
  /** What is wrong, as a clause: `its disk is full`. */
  readonly found: string;
  /** What the operator does about it, in whole sentences. */
  readonly remedy: string;
  /** Whether it hinders this process alone, and the server may use the file all the same. */
  readonly isOfReader: boolean;

  constructor(
    file: string,
    options: {
      readonly found: string;
      /** @default to put a copy in its place */
      readonly remedy?: string;
      /** @default false */
      readonly isOfReader?: boolean;
      readonly cause?: unknown;
    },
  ) {
    const {
      found,
      isOfReader = false,
      remedy = 'Put a copy from your backup in its place. Without one, move the file away, which removes all stored users and tokens, and add them again with `entrepot users add`.',
      cause,
    } = options;
    super(`Cannot use the file of users and tokens ${file}: ${found}. ${remedy}`, { cause });
    this.file = file;
    this.found = found;
    this.remedy = remedy;
    this.isOfReader = isOfReader;
  }
}
