import * as z from 'zod';
import { filePath, flag, pattern, ruleAction } from './fields.ts';
import { optionMeta } from './meta.ts';
import { options } from './options.ts';
import { groupMember, groupName, principalName } from './principals.ts';

const who = z.union([principalName.transform((name) => [name]), z.array(principalName).min(1)]).register(optionMeta, {
  type: 'name or list',
  expected: 'a user, token:NAME, @GROUP or anonymous, or a list of such',
});

/** Whether a rule can name a principal. */
export function isPrincipalName(text: string): boolean {
  return principalName.safeParse(text).success;
}

/** Who may do what: a part of the one definition, see schema.ts. */
export const access = options({
  htpasswd: filePath('an htpasswd file with bcrypt hashes')
    .optional()
    .meta({
      description:
        'Users and their passwords, as `htpasswd -B` writes them (bcrypt alone), beside those of `entrepot users`. Read again when it changes; a removed user is refused within a second.',
      examples: ['/etc/entrepot/htpasswd'],
    }),
  groups: z
    .record(groupName, z.array(groupMember))
    .register(optionMeta, {
      type: 'map',
      expected: 'a map of groups with lists of users and tokens, such as {payments: [alice, token:ci]}',
    })
    .prefault({})
    .meta({
      description: 'Groups of users and tokens, for `@GROUP` in rules.',
      examples: [{ payments: ['alice', 'token:ci'] }],
    }),
  rules: z
    .array(
      options({
        who: who.describe(
          'A user, `token:NAME`, `@GROUP`, or `anonymous` for every client, logged in or not; or a list of such.',
        ),
        may: z
          .array(ruleAction)
          .min(1)
          .describe(
            '`pull` (manifests, blobs, tags, referrers, paths of mirror routes), `catalog` (lists of repositories), `push` and `delete` (of hosted repositories and those that are pushed through), `status` (`/metrics`, and what the API and the page show), `admin` (what they show of the server itself, and all that they change), `proxy` (the forward proxy).',
          ),
        on: z
          .array(pattern('docker.io/library/**'))
          .prefault([])
          .describe(
            'For `pull`, `catalog`, `push` and `delete`: `registry/repository` or `mirror:NAME/**`; `*` within one component, `**` across. The registry is always written.',
          ),
        private: flag
          .prefault(false)
          .describe(
            'With `anonymous`: true lets every client pull private repositories too, with the credentials of this server. Without it the rule covers what is public.',
          ),
      }),
    )
    .prefault([])
    .describe('What no rule allows is refused.'),
  audit: flag
    .prefault(false)
    .describe(
      'Let pulls of public content through that no rule allows, and log them as `access.would_deny`. All else is refused as without it.',
    ),
});
