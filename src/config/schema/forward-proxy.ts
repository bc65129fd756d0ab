import { z } from 'zod';
import { addressRange, choice, count, deadline, filePath, flag, hostOrExpression, secret, userName } from './fields.ts';
import { forwardListen } from './listen.ts';

/** What is said of the forward proxy: a part of the one definition, see schema.ts. */
export const forwardProxy = z.strictObject({
  enabled: flag()
    .prefault(false)
    .describe('Be a forward proxy too, for clients with `HTTPS_PROXY` and `HTTP_PROXY` set to this server.'),
  listen: forwardListen.optional().meta({
    description:
      'Listeners of its own for it: an address, or a list of addresses and of `{address, tls}`. Unless given, every listener under `listen` takes such requests.',
    examples: ['127.0.0.1:3128'],
  }),
  allowed_hosts: z
    .array(hostOrExpression())
    .optional()
    .meta({
      description:
        'Who may be asked for: host names, and regular expressions (whatever has one of `\\ ^ $ * + ? ( ) [ ] { } |` in it), which match anywhere in a name unless they say `^` and `$`. Everything else is refused.',
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
        'Registries with every host that a pull from them needs, their tokens and blobs included. Unless this or `allowed_hosts` is given: docker.io, gcr.io, registry.k8s.io and docker.elastic.co.',
      examples: [['docker.io', 'ghcr.io', 'quay.io']],
    }),
  ports: z
    .array(count({ least: 1, most: 65_535 }))
    .min(1)
    .prefault([443, 80])
    .describe('Ports that may be asked for.'),
  allow_private: z
    .array(addressRange())
    .prefault([])
    .describe('Private hosts, addresses and blocks that may be asked for, if they are among the allowed hosts too.'),
  user: userName().optional().describe('With `password`: what clients must give.'),
  password: secret().optional().describe('A text, `{env: NAME}` or `{file: PATH}`.'),
  anonymous: flag()
    .prefault(false)
    .describe('Without `user` and `password`: also take requests from other machines than this one.'),
  max_tunnels: count({ least: 1, most: 100_000 })
    .prefault(512)
    .describe('Tunnels at once; more are refused. Each takes at least 256 KiB of memory.'),
  idle_timeout: deadline().prefault('5m').describe('A tunnel in which nothing moves for this long is ended.'),
  mitm: z
    .strictObject({
      enabled: flag()
        .prefault(false)
        .describe('Decrypt what goes through tunnels, so that pulls are cached. Clients must trust the authority.'),
      ca_cert_file: filePath('a PEM certificate authority')
        .optional()
        .describe('The authority. Unless given, one is made in `ca/` of the cache directory. `/ca.crt` serves it.'),
      ca_key_file: filePath('the PEM key of the certificate authority')
        .optional()
        .describe('Its key (EC or RSA), PEM.'),
    })
    .prefault({})
    .describe('Looking into tunnels.'),
});
