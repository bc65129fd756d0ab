import * as z from 'zod';
import { choice, flag, hostPattern, label, mirrorPattern, mirrorPrefix, siteUrl } from './fields.ts';
import { optionMeta } from './meta.ts';
import { options } from './options.ts';
import { credentials, headers, upstreamTls, upstreamTransport } from './upstream.ts';

const cache = z
  .union([
    z.literal(['off', false]),
    options({
      immutable: z
        .array(mirrorPattern)
        .prefault([])
        .describe(
          'Paths behind the prefix whose content never changes, so it is never revalidated; `*` within one segment, `**` across.',
        ),
    }),
  ])
  .transform((value) =>
    value === 'off' || value === false ? { enabled: false, immutable: [] } : { enabled: true, ...value },
  )
  .register(optionMeta, {
    type: '`off` or map',
    expected: 'off, or a map such as {immutable: ["/*/*/releases/download/**"]}',
  });

const mirror = options({
  name: label.describe('Shown as `route` in log and metrics.'),
  prefix: mirrorPrefix.describe(
    'The path it is served under: `/github`. The longest prefix that matches a request is used.',
  ),
  upstream: siteUrl.describe('`http(s)://host[:port][/path]`, or a host alone, which means https.'),
  preserve_host: flag.prefault(false).describe('Send the client’s `Host` to the site, instead of the site’s own.'),
  methods: z
    .array(choice('GET', 'HEAD', 'OPTIONS', 'POST', 'PUT', 'PATCH', 'DELETE'))
    .min(1)
    .prefault(['GET', 'HEAD', 'OPTIONS', 'POST'])
    .describe('Methods that clients may use. `git clone` and `git fetch` need POST.'),
  cache: cache.prefault({}).describe('Caches responses that can be revalidated, or never change. `off` only streams.'),
  credentials: credentials
    .optional()
    .describe(
      '`{username, password}` or `{helper}`: sent to the site as Basic authentication, on behalf of every client.',
    ),
  headers: headers.prefault({}).describe('Sent with each request to the site, never to redirect targets.'),
  redirect_hosts: z
    .array(hostPattern)
    .optional()
    .describe('If set, redirects are followed only to these hosts and the site itself.'),
  tls: upstreamTls.optional().describe('TLS towards the site.'),
  transport: upstreamTransport.optional().describe('How to reach the site; overrides `transport`.'),
});

/** The mirror routes: a part of the one definition, see schema.ts. */
export const mirrors = z
  .array(mirror)
  .max(1000)
  .register(optionMeta, { type: 'list', expected: 'a list of {name, prefix, upstream}' });
