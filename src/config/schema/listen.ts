import * as z from 'zod';
import { acme } from './acme.ts';
import { filePath, flag, listenAddress } from './fields.ts';
import type { ListenAddress } from './listen-address.ts';
import { optionMeta } from './meta.ts';
import { options } from './options.ts';

/* Where the server and its forward proxy listen: parts of the one definition, see schema.ts. */

const address = listenAddress.describe(
  'Where to listen: `127.0.0.1:5000`, `[::1]:5000`, `:5000`, `unix:/run/entrepot.sock`.',
);

const tls = options({
  cert_file: filePath('a PEM certificate, with its chain').optional().describe('Certificate and chain, PEM.'),
  key_file: filePath('the PEM private key of the certificate')
    .optional()
    .describe('Private key (EC, RSA or PKCS#8), PEM.'),
  acme: acme
    .optional()
    .describe(
      'Order the certificate from an ACME server such as Let’s Encrypt and renew it, in place of the two files.',
    ),
})
  .optional()
  .describe('Serve HTTPS here, with the two files or with `acme`.');

const fullListener = options({
  address,
  tls,
  redirect_to_https: flag
    .prefault(false)
    .describe(
      'Answer every request here with a redirect to HTTPS, on `public_url` or on the port of the first listener with `tls`; for a listener without `tls`.',
    ),
});

export const listen = listeners(fullListener, {
  plain: (where) => ({ address: where, redirectToHttps: false }),
  expected:
    'an address such as 127.0.0.1:5000 or :5000, or a list of addresses and of {address, tls: {cert_file, key_file} or {acme: {domains}}, redirect_to_https}',
});

/** Listeners for one purpose alone; none unless they are given. */
export const ownListen = listeners(options({ address, tls }), {
  plain: (where) => ({ address: where }),
  expected:
    'an address such as 127.0.0.1:3128 or :3128, or a list of addresses and of {address, tls: {cert_file, key_file}}',
})
  .optional()
  .transform((own) => own ?? []);

/** An address, or a list of addresses and of listeners. */
function listeners<Listener extends z.ZodType>(
  listener: Listener,
  { plain, expected }: { readonly plain: (where: ListenAddress) => z.output<Listener>; readonly expected: string },
) {
  const one = listenAddress.transform(plain);
  return z
    .union([one.transform((only) => [only]), z.array(z.union([one, listener])).min(1)])
    .register(optionMeta, { type: 'address or list', expected });
}
