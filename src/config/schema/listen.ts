import { z } from 'zod';
import { filePath, flag, listenAddress } from './fields.ts';
import type { ListenAddress } from './listen-address.ts';
import { optionMeta } from './meta.ts';

/** Where the server listens, and where its forward proxy does: parts of the one definition, see schema.ts. */

/** One place where the forward proxy listens. */
export type ForwardListener = Readonly<{
  address: ListenAddress;
  tls?: Readonly<{ cert_file: string; key_file: string }> | undefined;
}>;

/** One place to listen on. */
export type Listener = ForwardListener & Readonly<{ redirect_to_https: boolean }>;

const address = listenAddress().describe(
  'Where to listen: `127.0.0.1:5000`, `[::1]:5000`, `:5000`, `unix:/run/entrepot.sock`.',
);

const tls = z
  .strictObject({
    cert_file: filePath('a PEM certificate, with its chain').describe('Certificate and chain, PEM.'),
    key_file: filePath('the PEM private key of the certificate').describe('Private key (EC, RSA or PKCS#8), PEM.'),
  })
  .optional()
  .describe('Serve HTTPS here.');

const listener = z.strictObject({
  address,
  tls,
  redirect_to_https: flag()
    .prefault(false)
    .describe('Answer every request here with a redirect to HTTPS; for a listener without `tls`.'),
});

function plainListener(where: ListenAddress): Listener {
  return { address: where, redirect_to_https: false };
}

export const listen = z
  .union([
    listenAddress().transform((where) => [plainListener(where)]),
    z.array(z.union([listenAddress().transform(plainListener), listener])).min(1),
  ])
  .register(optionMeta, {
    type: 'address or list',
    expected:
      'an address such as 127.0.0.1:5000 or :5000, or a list of addresses and of {address, tls: {cert_file, key_file}, redirect_to_https}',
  });

const forwardListener = z.strictObject({ address, tls });

function plainForwardListener(where: ListenAddress): ForwardListener {
  return { address: where };
}

export const forwardListen = z
  .union([
    listenAddress().transform((where) => [plainForwardListener(where)]),
    z.array(z.union([listenAddress().transform(plainForwardListener), forwardListener])).min(1),
  ])
  .register(optionMeta, {
    type: 'address or list',
    expected:
      'an address such as 127.0.0.1:3128 or :3128, or a list of addresses and of {address, tls: {cert_file, key_file}}',
  });
