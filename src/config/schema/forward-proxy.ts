import * as z from 'zod';
import { addressRange, choice, count, deadline, filePath, flag, hostOrExpression, secret, userName } from './fields.ts';
import { ownListen } from './listen.ts';
import { options } from './options.ts';

/** The forward proxy: a part of the one definition, see schema.ts. */
export const forwardProxy = options({
  enabled: flag
    .prefault(false)
    .describe('Turn the forward proxy on, for clients with `HTTPS_PROXY` and `HTTP_PROXY` set to this server.'),
  listen: ownListen.meta({
    description:
      'Listeners for the forward proxy alone: an address, or a list of addresses and of `{address, tls}`. By default every listener under `listen` serves it.',
    examples: ['127.0.0.1:3128'],
  }),
  allowed_hosts: z
    .array(hostOrExpression)
    .optional()
    .meta({
      description:
        'Hosts that clients may reach: host names, and regular expressions (any entry with one of `\\ ^ $ * + ? ( ) [ ] { } |`), which match anywhere in a name unless they use `^` and `$`. Other hosts are refused.',
      examples: [['registry.example.com', '^[a-z0-9-]+\\.example\\.com$']],
    }),
  presets: z
    .array(
      choice(
        'docker.io',
        'ghcr.io',
        'quay.io',
        'gcr.io',
        'registry.k8s.io',
        'docker.elastic.co',
        'public.ecr.aws',
        'mcr.microsoft.com',
        'nvcr.io',
        'registry.gitlab.com',
      ),
    )
    .optional()
    .meta({
      description:
        'Registries, each with every host that a pull needs, token services and blob storage included. By default, without `allowed_hosts`: docker.io, gcr.io, registry.k8s.io and docker.elastic.co.',
      examples: [['docker.io', 'ghcr.io', 'quay.io']],
    }),
  ports: z
    .array(count({ least: 1, most: 65_535 }))
    .min(1)
    .prefault([443, 80])
    .describe('Ports that clients may reach.'),
  allow_private: z
    .array(addressRange)
    .prefault([])
    .describe('Private hosts, addresses and blocks that clients may reach, if the allowed hosts include them too.'),
  user: userName.optional().describe('With `password`: the credential that clients must send.'),
  password: secret.optional().describe('A text, `{env: NAME}` or `{file: PATH}`.'),
  anonymous: flag.prefault(false).describe('Without `user` and `password`: also serve clients on other machines.'),
  max_tunnels: count({ least: 1, most: 100_000 })
    .prefault(512)
    .describe('Concurrent tunnels; more are refused. Each takes at least 256 KiB of memory.'),
  idle_timeout: deadline.prefault('5m').describe('A tunnel without traffic for this long is closed.'),
  mitm: options({
    enabled: flag
      .prefault(false)
      .describe('Decrypt tunnels, so that pulls are cached. Clients must trust the certificate authority.'),
    ca_cert_file: filePath('a PEM certificate authority')
      .optional()
      .describe(
        'The certificate authority. By default one is created in `ca/` of the cache directory. `/ca.crt` serves it.',
      ),
    ca_key_file: filePath('the PEM key of the certificate authority').optional().describe('Its key (EC or RSA), PEM.'),
  })
    .prefault({})
    .describe('Decryption of tunnels.'),
});
