import * as z from 'zod';
import { choice, count, filePath, flag } from './fields.ts';
import { optionMeta } from './meta.ts';
import { options } from './options.ts';

/* In which order the upstreams of a registry are asked: a part of the one definition, see schema.ts. */

const word = choice('ordered', 'fastest', 'weighted');

export const strategy = z
  .union([
    word,
    options({
      by: word
        .optional()
        .describe(
          '`ordered`: as `upstreams` lists them; `fastest`: by the time that each has needed lately; `weighted`: by `weight`, the same digest always first from the same one.',
        ),
      plugin: filePath('a module that orders upstreams, such as ./routing.mjs')
        .optional()
        .describe('A module of your own in place of `by`, which orders the upstreams for each request.'),
      tags: flag
        .prefault(false)
        .describe(
          'Whether tags and lists follow the strategy too. Upstreams may differ on a tag, so by default these are asked in the order of `upstreams`.',
        ),
    }),
  ])
  .register(optionMeta, {
    type: '`ordered`, `fastest`, `weighted` or map',
    expected: 'ordered, fastest or weighted, or a map such as {by: fastest, tags: true} or {plugin: ./routing.mjs}',
  });

export const weight = count({ least: 0, most: 1000 });
