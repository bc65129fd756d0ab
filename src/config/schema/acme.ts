import * as z from 'zod';
import { filePath, fromText, label, matching, secret } from './fields.ts';
import { isHostName } from './listen-address.ts';
import { optionMeta } from './meta.ts';
import { options } from './options.ts';

/* Certificates from an ACME server: a part of the one definition, see schema.ts. */

/** A host name that a certificate can be ordered for over HTTP-01, lower-cased. */
const certificateDomain = fromText(
  (text) => {
    const name = text.toLowerCase();
    // A last label of digits makes it an IPv4 address; one without a dot is known to no public authority.
    return isHostName(name) && name.includes('.') && !/\.\d+$/.test(name) ? name : undefined;
  },
  {
    type: 'domain',
    expected:
      'a host name such as mirror.example.com: HTTP-01 proves no wildcard and no IP address, and letters beyond ASCII are written as xn--…',
  },
);

const emailAddress = matching(/^[^\s@,?&]{1,64}@[^\s@,?&]{1,189}$/, {
  type: 'text',
  expected: 'an e-mail address such as ops@example.com',
});

const KNOWN_SERVERS: Readonly<Record<string, string>> = {
  letsencrypt: 'https://acme-v02.api.letsencrypt.org/directory',
  'letsencrypt-staging': 'https://acme-staging-v02.api.letsencrypt.org/directory',
};

/** The URL of a directory (RFC 8555 §7.1.1), or a known name for it. */
const acmeServer = fromText(
  (text) => {
    const known = KNOWN_SERVERS[text.toLowerCase()];
    if (known !== undefined) return known;
    const url = /^https:\/\/[^/]/i.test(text) && !/[\s\\]/.test(text) ? URL.parse(text) : null;
    return url !== null && url.username === '' && url.password === '' && url.hash === '' ? url.href : undefined;
  },
  {
    type: 'URL or name',
    expected: 'letsencrypt, letsencrypt-staging, or the https:// address of the directory of an ACME server',
  },
);

export const acme = options({
  domains: z
    .array(certificateDomain)
    .min(1)
    .max(100)
    .register(optionMeta, { type: 'list', expected: 'a list of 1 to 100 host names, such as [mirror.example.com]' })
    .describe('The host names of the certificate, the main one first. Each must lead to this server on port 80.'),
  email: emailAddress.optional().describe('Where the certificate authority may write to, about expiry and incidents.'),
  server: acmeServer
    .prefault('letsencrypt')
    .describe(
      'The ACME server: `letsencrypt`, `letsencrypt-staging` for trials (no client trusts its certificates), or the `https://` URL of a directory. Using it agrees to its terms of service.',
    ),
  dir: filePath('the directory for certificates')
    .optional()
    .describe('Where account key, certificates and failures are kept. By default `acme` in the cache directory.'),
  ca_file: filePath('the PEM certificates of the ACME server’s authority')
    .optional()
    .describe('Authorities to trust for the ACME server itself, PEM, for a private one such as step-ca.'),
  eab: options({
    key_id: label.describe('Identifier of the account at the certificate authority.'),
    hmac_key: secret.describe('Its key, in base64url as the authority shows it.'),
  })
    .optional()
    .describe('External account binding, where the certificate authority demands it (ZeroSSL, Google).'),
});
