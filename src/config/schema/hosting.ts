import * as z from 'zod';
import { duration, flag, pattern, size } from './fields.ts';
import { optionMeta } from './meta.ts';

/** Every repository of a registry. */
const EVERY = '**';

const hosted = z
  .union([flag, z.array(pattern('acme/**')).min(1)])
  .transform((value): string[] => (typeof value === 'boolean' ? (value ? [EVERY] : []) : value))
  .register(optionMeta, {
    type: 'boolean or list',
    expected: 'true, false, or a list of patterns of repositories such as [acme/**]',
  });

/** What of a registry can be pushed, and how it is kept: a part of the one definition, see schema.ts. */
export const hosting = {
  hosted: hosted
    .optional()
    .describe(
      '`true`: images are pushed to this server, and the registry has no upstream. Or a list of patterns: these repositories are pushed here and never asked of an upstream. `*` within one component, `**` across.',
    ),
  push: z
    .array(pattern('ours/**'))
    .prefault([])
    .describe('Repositories whose pushes go on to the first upstream, with the credentials of this server.'),
  immutable_tags: z
    .array(pattern('v*'))
    .prefault([])
    .describe(
      'Tags of hosted repositories that never move and are never deleted: `v*` in every repository, or `repository:tag`.',
    ),
  quota: size({ least: 1 })
    .optional()
    .describe('Bytes that each hosted repository may have; a push beyond it is refused. No limit by default.'),
  sparse: flag
    .prefault(false)
    .describe(
      'Take manifests although blobs or manifests that they name are missing here: images of some platforms alone.',
    ),
  keep_untagged: duration
    .optional()
    .describe(
      'How long a hosted manifest without a tag is kept, if nothing names it; less than a day counts as a day. For good by default: a digest stays until it is deleted.',
    ),
};
