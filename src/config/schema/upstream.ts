import { z } from 'zod';
import { count, deadline, filePath, flag, headerName, headerValue, outboundProxy, secret } from './fields.ts';
import { optionMeta } from './meta.ts';

/* What is said of whoever is asked, be it a registry's upstream or a mirrored site: a part of the one definition. */

export const headers = z
  .record(headerName(), headerValue())
  .register(optionMeta, { type: 'map', expected: 'header names with their values, such as {User-Agent: entrepot}' });

const credential = z
  .union([
    z.strictObject({
      username: secret().describe('User name, `{env: NAME}` or `{file: PATH}`.'),
      password: secret().describe('Password or token, `{env: NAME}` or `{file: PATH}`.'),
    }),
    z.strictObject({
      helper: z
        .string()
        .regex(/^[A-Za-z0-9._-]+$/)
        .register(optionMeta, {
          type: 'name',
          expected: 'the last part of a docker-credential-… program, such as ecr-login',
        })
        .describe('Ask the program `docker-credential-<helper>`.'),
    }),
  ])
  .register(optionMeta, { type: 'map', expected: '{username, password} or {helper}' });

export const credentials = z
  .union([credential, z.array(credential).min(1).max(16)])
  .register(optionMeta, { type: 'map or list', expected: '{username, password} or {helper}, or a list of such' });

export const upstreamTls = z.strictObject({
  ca_file: filePath('a PEM file of certificate authorities')
    .optional()
    .describe('Authorities to trust here besides the usual ones, PEM.'),
  cert_file: filePath('a PEM client certificate').optional().describe('Client certificate, PEM.'),
  key_file: filePath('the PEM key of the client certificate')
    .optional()
    .describe('Key of the client certificate, PEM.'),
  insecure_skip_verify: flag().optional().describe('Accept any certificate. For tests.'),
});

export const FIRST_FRAGMENT_LEN =
  'Bytes of the first part of a ClientHello cut in two, 1 to 255 (3 is a good one); 0 leaves it whole. Where a handshake is cut, 1 and then 0 are tried.';
export const ALLOW_PLAIN_FALLBACK =
  'Whether a ClientHello in one piece, which shows the name of the server, may be the last thing tried.';
export const OUTBOUND_PROXY =
  'Through whom upstreams are reached: `http://`, `https://` or `socks5://`, with user and password where it wants them; `environment`: as `http_proxy`, `https_proxy`, `all_proxy` and `no_proxy` say; or `none`.';

export const upstreamTransport = z.strictObject({
  first_fragment_len: count({ least: 0, most: 255 }).optional().describe(FIRST_FRAGMENT_LEN),
  allow_plain_fallback: flag().optional().describe(ALLOW_PLAIN_FALLBACK),
  outbound_proxy: outboundProxy().optional().describe(OUTBOUND_PROXY),
  dial_timeout: deadline().optional().describe('For a connection.'),
  tls_handshake_timeout: deadline().optional().describe('For its TLS handshake.'),
  response_header_timeout: deadline().optional().describe('For the head of its answer.'),
  body_idle_timeout: deadline().optional().describe('For a body that stands still.'),
});
