import * as z from 'zod';
import { choice, deadline, headerName, label, pattern, receiverUrl, secret, secretHeaderValue } from './fields.ts';
import { optionMeta } from './meta.ts';
import { options } from './options.ts';

/** Every kind of event that a webhook can choose. */
const EVENTS = ['push', 'delete', 'tag', 'schedule', 'disk'] as const;

/** What happens in repositories: receivers of these alone know every event by its repository. */
const OF_REPOSITORIES = ['push', 'delete', 'tag'] as const;

/** Secrets that sign at once: the new one, and the old one until every receiver knows the new one. */
const MAX_SECRETS = 4;

const secrets = z
  .union([secret.transform((only) => [only]), z.array(secret).min(1).max(MAX_SECRETS)])
  .register(optionMeta, {
    type: 'secret',
    expected: `a text (in quotes where it looks like a number), {env: NAME} or {file: PATH}, or a list of up to ${MAX_SECRETS} of them`,
  });

const webhook = options({
  url: receiverUrl.describe('Where events are sent, by POST. No redirect is followed.'),
  name: label.optional().describe('Shown in log, metrics and `entrepot webhooks`. The host of the URL unless given.'),
  events: z
    .array(choice(...EVENTS))
    .min(1)
    .prefault([...OF_REPOSITORIES])
    .describe(
      '`push`: a manifest was pushed. `delete`: a manifest or a tag was deleted. `tag`: a tag is new, or points elsewhere. Where they are named: `schedule`: a run of `warm` failed, or the first after that succeeded; `disk`: caching is paused for want of space, or resumed.',
    ),
  on: z
    .array(pattern('apps/team/**'))
    .prefault([])
    .describe(
      'Repositories, as `registry/repository`; `*` within one component, `**` across. All of them by default. Not for `schedule` and `disk`.',
    ),
  secret: secrets
    .optional()
    .describe(
      'Signs each request as Standard Webhooks has it: `whsec_` and base64, or a text; `{env: NAME}` or `{file: PATH}`. A list signs with each, while one replaces another.',
    ),
  headers: z
    .record(headerName, secretHeaderValue)
    .register(optionMeta, {
      type: 'map',
      expected: 'header names with their values, such as {Authorization: {file: /run/secrets/ci-token}}',
    })
    .prefault({})
    .describe('Sent with each request; a value may be `{env: NAME}` or `{file: PATH}`.'),
  timeout: deadline
    .prefault('10s')
    .describe('For the receiver to answer. Then the event is sent again, ten times in all, over some six hours.'),
});

/** Webhooks: a part of the one definition, see schema.ts. */
export const webhooks = z.array(webhook).max(32).register(optionMeta, {
  type: 'list',
  expected: 'a list of at most 32 receivers, each such as {url: https://ci.example.com/hooks, secret: {file: PATH}}',
});
