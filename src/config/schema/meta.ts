import { z } from 'zod';

/** What the manual, the messages and the printing need to know of a value besides how to read it. */
export interface OptionMeta {
  /** One or two words for the reference table: `duration`, `size`, `URL`. */
  readonly type: string;
  /** What would do, as the end of "expected …". */
  readonly expected: string;
  /** A path in the file system: relative ones are resolved against where they were written. */
  readonly path?: true;
  /** Never printed, nor quoted in a message. */
  readonly secret?: true;
  /** A user, behind which somebody may have written the password as well: what follows a colon is never quoted. */
  readonly user?: true;
  /** Accepted so that configurations written for other mirrors still load; the text says why it changes nothing. */
  readonly withoutEffect?: string;
}

/** The marks of schemas; looked up on the innermost schema, below defaults and optionality. */
export const optionMeta = z.registry<OptionMeta>();
