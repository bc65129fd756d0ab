import * as z from 'zod';

/** What the manual, messages and printing need to know of an option besides how to read it. */
export interface OptionMeta {
  /** One or two words for the reference table: `duration`, `size`, `URL`. */
  readonly type: string;
  /** The valid values, as the end of "expected …". */
  readonly expected: string;
  /** A path in the file system; relative ones are resolved against the directory of their file. */
  readonly path?: true;
  /** Never printed or quoted in a message. */
  readonly secret?: true;
  /** A user name. The text after a colon is never quoted: it may be a misplaced password. */
  readonly user?: true;
  /** Accepted so that configurations of other mirrors load; the text says why it has no effect. */
  readonly withoutEffect?: string;
}

/** The metadata of schemas; looked up on the innermost schema, below defaults and optionality. */
export const optionMeta = z.registry<OptionMeta>();
