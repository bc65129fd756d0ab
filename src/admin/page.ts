import * as z from 'zod';

// What the lists of operations have in common.

/** Input: where a page begins, and how long it is. */
export const pageInput = {
  after: z
    .string({ error: 'expected the `next` of an earlier answer' })
    .max(2000, 'expected the `next` of an earlier answer')
    .optional()
    .describe('The `next` of the page before; absent: the first page.'),
  limit: z
    .int({ error: 'expected a number from 1 to 500' })
    .min(1, 'expected a number from 1 to 500')
    .max(500, 'expected a number from 1 to 500')
    .default(100)
    .describe('Entries of one page.'),
};

/** Answer: where the next page begins. */
export const next = z.string().exactOptional().describe('Absent on the last page.');

/** Input: words that an entry must hold, in any order and in any case. */
export const search = z.string({ error: 'expected a text' }).max(300, 'expected at most 300 characters').optional();

export const time = z.number().describe('Milliseconds since 1970.');
export const bytes = z.number().describe('Bytes.');
export const image = z.string({ error: 'expected the name of an image' }).max(1000, 'expected at most 1000 characters');

/** Input: the platforms of an image. */
export const platforms = z
  .array(
    z
      .string({ error: 'expected a platform such as linux/amd64' })
      .max(100, 'expected a platform such as linux/amd64')
      .regex(/^[a-z0-9]+\/[a-z0-9_]+(?:\/[a-z0-9.]+)?$/, 'expected a platform such as linux/amd64 or linux/arm/v7'),
  )
  .max(20, 'expected at most 20 platforms')
  .readonly()
  .default([])
  .describe('`linux/amd64`; empty: those of `cache.platforms`, or all.');
