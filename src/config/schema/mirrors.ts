import { z } from 'zod';
import { choice, flag, hostPattern, label, mirrorPattern, mirrorPrefix, siteUrl } from './fields.ts';
import { optionMeta } from './meta.ts';
import { credentials, headers, upstreamTls, upstreamTransport } from './upstream.ts';

const cache = z
  .union([
    z.literal(['off', false]),
    z.strictObject({
      immutable: z
        .array(mirrorPattern())
        .prefault([])
        .describe(
          'Paths behind the prefix whose content never changes, which are then never asked about again; `*` within one segment, `**` across.',
        ),
    }),
  ])
  .transform((value): 'off' | { immutable: string[] } => (value === 'off' || value === false ? 'off' : value))
  .register(optionMeta, {
    type: '`off` or map',
    expected: 'off, or a map such as {immutable: ["/*/*/releases/download/**"]}',
  });

const mirror = z.strictObject({
  name: label().describe('Shown as `route` in log and metrics.'),
  prefix: mirrorPrefix().describe(
    'The path it is found under: `/github`. Of several that fit, the longest has the request.',
  ),
  upstream: siteUrl().describe('`http(s)://host[:port][/path]`, or a host alone, which means https.'),
  preserve_host: flag()
    .prefault(false)
    .describe('Ask the site with the `Host` that the client used, instead of its own.'),
  methods: z
    .array(choice('GET', 'HEAD', 'OPTIONS', 'POST', 'PUT', 'PATCH', 'DELETE'))
    .min(1)
    .prefault(['GET', 'HEAD', 'OPTIONS', 'POST'])
    .describe('What may be asked. `git clone` and `git fetch` need POST.'),
  cache: cache
    .prefault({})
    .describe('What is kept: answers that can be confirmed later, or never change. `off` only streams.'),
  credentials: credentials
    .optional()
    .describe('`{username, password}` or `{helper}`: sent to the site as Basic authentication, for every client.'),
  headers: headers.prefault({}).describe('Sent with each request to the site, never to where it redirects.'),
  redirect_hosts: z
    .array(hostPattern())
    .optional()
    .describe('When given, the only hosts that redirects may be followed to besides the site itself.'),
  tls: upstreamTls.optional().describe('TLS towards the site.'),
  transport: upstreamTransport.optional().describe('How the site is reached, where it differs from `transport`.'),
});

/** The mirror routes: a part of the one definition, see schema.ts. */
export const mirrors = z
  .array(mirror)
  .max(1000)
  .register(optionMeta, { type: 'list', expected: 'a list of {name, prefix, upstream}' });
