import * as z from 'zod';
import { count, deadline, filePath, flag, headerName, headerValue, outboundProxy, secret } from './fields.ts';
import { optionMeta } from './meta.ts';
import { options } from './options.ts';

/* The settings of an upstream, of a registry or of a mirror route: parts of the one definition, see schema.ts. */

export const headers = z
  .record(headerName, headerValue)
  .register(optionMeta, { type: 'map', expected: 'header names with their values, such as {User-Agent: entrepot}' });

const credential = z
  .union([
    options({
      username: secret.describe('User name, `{env: NAME}` or `{file: PATH}`.'),
      password: secret.describe('Password or token, `{env: NAME}` or `{file: PATH}`.'),
    }),
    options({
      helper: z
        .string()
        .regex(/^[A-Za-z0-9._-]+$/)
        .register(optionMeta, {
          type: 'name',
          expected: 'the last part of a docker-credential-… program, such as ecr-login',
        })
        .describe('Run `docker-credential-<helper>` for the credential.'),
    }),
  ])
  .register(optionMeta, { type: 'map', expected: '{username, password} or {helper}' });

export const credentials = z
  .union([credential, z.array(credential).min(1).max(16)])
  .register(optionMeta, { type: 'map or list', expected: '{username, password} or {helper}, or a list of such' });

export const upstreamTls = options({
  ca_file: filePath('a PEM file of certificate authorities')
    .optional()
    .describe('Certificate authorities to trust here besides the usual ones, PEM.'),
  cert_file: filePath('a PEM client certificate').optional().describe('Client certificate, PEM.'),
  key_file: filePath('the PEM key of the client certificate')
    .optional()
    .describe('Key of the client certificate, PEM.'),
  insecure_skip_verify: flag.optional().describe('Accept any certificate. For tests.'),
});

export const FIRST_FRAGMENT_LEN =
  'Size of the first part of a split TLS ClientHello, 1 to 255 bytes (3 works well); 0 sends it whole. If a handshake is cut, 1 and then 0 are tried.';
export const ALLOW_PLAIN_FALLBACK =
  'Whether an unsplit ClientHello, which reveals the name of the server, may be the last attempt.';
export const OUTBOUND_PROXY =
  'Proxy to upstreams: `http://`, `https://` or `socks5://`, with user and password if it needs them; `environment` for `http_proxy`, `https_proxy`, `all_proxy` and `no_proxy`; or `none`.';

export const upstreamTransport = options({
  first_fragment_len: count({ least: 0, most: 255 }).optional().describe(FIRST_FRAGMENT_LEN),
  allow_plain_fallback: flag.optional().describe(ALLOW_PLAIN_FALLBACK),
  outbound_proxy: outboundProxy.optional().describe(OUTBOUND_PROXY),
  dial_timeout: deadline.optional().describe('For a connection to open.'),
  tls_handshake_timeout: deadline.optional().describe('For its TLS handshake.'),
  response_header_timeout: deadline.optional().describe('For the head of a response.'),
  body_idle_timeout: deadline.optional().describe('For the next byte of a body.'),
  max_conns_per_host: count({ least: 0, most: 100_000 })
    .optional()
    .describe('Connections at once, per host; 0 is no limit. More requests wait.'),
});
