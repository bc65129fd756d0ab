import * as z from 'zod';
import { access } from './access.ts';
import { admin } from './admin.ts';
import {
  addressRange,
  aliasName,
  choice,
  count,
  deadline,
  dnsServer,
  domainName,
  duration,
  fileOrUrl,
  filePath,
  flag,
  freeSpace,
  hardLimit,
  hostGlob,
  hostPattern,
  ipAddress,
  label,
  originUrls,
  outboundProxy,
  pattern,
  proxyAddress,
  registryKey,
  registryNameOrUrl,
  registryUrl,
  repositoryPrefix,
  size,
  tokenRealm,
} from './fields.ts';
import { forwardProxy } from './forward-proxy.ts';
import { hosting } from './hosting.ts';
import { limits } from './limits.ts';
import { listen } from './listen.ts';
import { optionMeta } from './meta.ts';
import { mirrors } from './mirrors.ts';
import { options } from './options.ts';
import { platform } from './platform.ts';
import { copy, warm } from './schedules/index.ts';
import { strategy, weight } from './strategy.ts';
import { timeouts } from './timeouts.ts';
import { tracing } from './tracing.ts';
import {
  ALLOW_PLAIN_FALLBACK,
  credentials,
  FIRST_FRAGMENT_LEN,
  headers,
  OUTBOUND_PROXY,
  upstreamTls,
  upstreamTransport,
} from './upstream.ts';
import { webhooks } from './webhooks.ts';

/*
 * The one definition: the types, validation, JSON Schema, default file, manual and names of environment variables are
 * derived from it, so users read the descriptions below everywhere.
 *
 * The input is what operators write (`max_size: 50GB`), the output what rooms take (`maxSize`, in bytes).
 */

const transferFields = {
  connections: count({ least: 1, most: 64 }),
  min_segment: size({ least: 1024 * 1024, most: 2 ** 40 }),
};

const CONNECTIONS =
  'Connections that fetch one blob at once, at most: each is kept only where it makes the transfer faster; 1 never splits a blob.';
const MIN_SEGMENT = 'The fewest bytes of a part. A blob of less than two such parts is not split.';

const transfer = options({
  connections: transferFields.connections.prefault(4).describe(CONNECTIONS),
  min_segment: transferFields.min_segment.prefault('16MiB').describe(MIN_SEGMENT),
});

/** Of a registry: what it overrides. */
const ownTransfer = options({
  connections: transferFields.connections.optional().describe(CONNECTIONS),
  min_segment: transferFields.min_segment.optional().describe(MIN_SEGMENT),
});

/** Of an upstream: what it overrides. */
const upstreamTransfer = options({
  connections: transferFields.connections
    .optional()
    .describe(
      'Connections to this upstream that fetch one blob at once, at most; 1: it sends no parts, and a blob only where it is asked first.',
    ),
  min_segment: transferFields.min_segment.optional().describe(MIN_SEGMENT),
});

const upstreamObject = options({
  url: registryUrl.describe('`http(s)://host[:port][/prefix]`; the API is at `<url>/v2/`.'),
  name: label.optional().describe('Shown in logs and metrics. The host of the URL unless given.'),
  repository_prefix: repositoryPrefix
    .optional()
    .describe(
      'What repositories have in front of their name there: a project of Harbor, a pull-through rule of ECR, a repository of Artifactory.',
    ),
  credentials: credentials
    .optional()
    .describe(
      '`{username, password}`, or `{helper}` for a `docker-credential-<helper>` program; or a list, each used until its pull limit runs low.',
    ),
  headers: headers.prefault({}).describe('Sent with each request to this upstream, never to redirect targets.'),
  capabilities: z
    .array(choice('pull', 'resolve'))
    .min(1)
    .prefault(['pull', 'resolve'])
    .describe('`resolve`: it decides what a tag points to; `pull`: it serves content by digest.'),
  weight: weight
    .optional()
    .describe(
      'With `strategy: weighted`, how often it is asked first, beside the others: 3 is three times as often as 1, and 0 only after all others. 1 unless given.',
    ),
  tls: upstreamTls.optional().describe('TLS towards this upstream.'),
  redirect_hosts: z
    .array(hostPattern)
    .optional()
    .describe('If set, redirects may lead only to these hosts and the upstream itself.'),
  transport: upstreamTransport.optional().describe('How to reach this upstream; overrides `transport`.'),
  transfer: upstreamTransfer.optional().describe('How blobs of this upstream are fetched; overrides `transfer`.'),
  token_realms: z
    .array(tokenRealm)
    .prefault([])
    .describe(
      'Hosts a token service may have, besides those in the upstream’s own domain. With `http://` before it, a host may get the credential unencrypted although the upstream is https.',
    ),
});

const upstream = z
  .union([registryUrl.transform((url) => upstreamObject.parse({ url })), upstreamObject])
  .register(optionMeta, {
    type: 'URL or map',
    expected: 'an http:// or https:// address such as https://ghcr.io, or a map with a `url`',
  });

const registry = options({
  aliases: z
    .array(aliasName)
    .prefault([])
    .describe('Other names of this registry, for host names, for paths and in front of `/v2/`.'),
  upstreams: z
    .array(upstream)
    .min(1)
    .optional()
    .describe(
      'Where to pull from, in order of preference; a large blob comes from all of them at once, where that is faster. A known registry needs none; a host name alone means `https://<name>`.',
    ),
  strategy: strategy
    .optional()
    .describe(
      'In which order the upstreams are asked: `ordered` (unless given), `fastest`, `weighted`, or a map with `by` or `plugin`.',
    ),
  delivery: choice('stream', 'redirect')
    .prefault('stream')
    .describe(
      '`redirect`: answer a blob request with a redirect to the upstream, if the client can follow it and every client may pull the blob; the blob is then not cached.',
    ),
  library: flag
    .optional()
    .describe('Put `library/` before one-word repositories, as Docker Hub does. Known registries need no setting.'),
  transfer: ownTransfer.optional().describe('How blobs of this registry are fetched; overrides `transfer`.'),
  ...hosting,
});

const registries = z.record(registryKey, registry).register(optionMeta, {
  type: 'map',
  expected: 'a map of registry names, each with nothing or {aliases, upstreams, delivery, library, hosted}',
});

const freshness = options({
  fresh_for: duration.prefault('10m').describe('How long a tag is served before it is revalidated with its upstream.'),
  rules: z
    .array(
      options({
        match: pattern('docker.io/library/*:latest').describe(
          'As for `pin`: `registry/repository:tag`; `*` within one component, `**` across.',
        ),
        fresh_for: duration.optional().describe('For the tags that match.'),
        cooldown: duration
          .optional()
          .describe(
            'How long a tag must have pointed to a digest, as far as this server has seen, before clients get it by the tag; until then they get the newest digest that is older.',
          ),
      }),
    )
    .prefault([])
    .describe('For each key, the first rule that matches a tag and sets the key applies.'),
  stale_after: duration
    .prefault('2s')
    .describe('How long to wait for an upstream before a cached tag is served stale.'),
  stale_on_not_found: flag
    .prefault(false)
    .describe('Serve the cached tag even when the upstream says that it no longer exists.'),
});

const cacheOn = options({
  dir: filePath('the directory of the cache')
    .prefault('./data')
    // Shown as an example: in a file, ./data would be relative to that file instead of the working directory.
    .meta({
      description: 'Directory of the cache. One server per directory. Unless given, `data` in the working directory.',
      examples: ['/var/lib/entrepot/data'],
    }),
  max_size: size({ least: 1 })
    .optional()
    .meta({
      description: 'Bytes the cache may hold; the least recently read content is evicted first. No limit by default.',
      examples: ['50GB'],
    }),
  min_free: freeSpace.optional().meta({
    description:
      'Disk space to keep free, in bytes or as a share; content is evicted until that much is free. By default 1 GiB or 2 %, whichever is less.',
    examples: ['5%'],
  }),
  partial_size: size()
    .optional()
    .meta({
      description:
        'Bytes of partial content: what has come of large blobs whose transfers ended early, and which the next pull continues. Part of `max_size`, evicted before any whole blob, and after 7 days. 0 keeps none. By default half of `max_size`, or 32 GiB without that.',
      examples: ['20GB'],
    }),
  pin: z
    .array(pattern('docker.io/library/*:latest'))
    .prefault([])
    .describe(
      'Tags whose images are never evicted: `registry/repository:tag`, or short as in a pull (`nginx` is every tag of docker.io/library/nginx); `*` within one component, `**` across.',
    ),
  platforms: z
    .array(platform)
    .min(1)
    .optional()
    .meta({
      description: 'Platforms to cache; images of other platforms are served without being cached. All by default.',
      examples: [['linux/amd64', 'linux/arm64']],
    }),
  not_found_for: duration
    .prefault('10s')
    .describe(
      'Negative cache: how long a missing tag or manifest is remembered as missing; 0s asks the upstream each time.',
    ),
  tags: z
    .union([z.literal('never'), freshness])
    .register(optionMeta, { type: '`never` or map', expected: 'never, or a map such as {fresh_for: 10m}' })
    .prefault({})
    .describe('How long tags are served from the cache; `never` asks the upstream every time.'),
  on_range: choice('ingest', 'pass')
    .prefault('ingest')
    .describe(
      'For a range request far into a blob that is not cached: `ingest` also fetches the whole blob, `pass` only streams the range.',
    ),
  verify_after: duration
    .prefault('7d')
    .describe(
      'A cached blob is hashed again at its next read when its last verification is older than this; 0 verifies only at the first read after each start.',
    ),
  manifests_in_memory: size({ most: 2 ** 32 })
    .prefault('32MiB')
    .describe('Memory for manifests, in bytes.'),
});

const cache = z
  .union([z.literal(['off', false]), cacheOn])
  .transform((value): 'off' | z.output<typeof cacheOn> => (value === false ? 'off' : value))
  .register(optionMeta, { type: '`off` or map', expected: 'off, or a map such as {dir: ./data, max_size: 50GB}' });

const allowAny = z
  .union([
    z.boolean(),
    options({
      deny: z.array(hostGlob('*.internal.example.com')).prefault([]).describe('Hosts that stay refused.'),
    }),
  ])
  .transform((value): false | { deny: string[] } => (value === true ? { deny: [] } : value))
  .register(optionMeta, { type: 'boolean or map', expected: 'false, true, or {deny: [patterns of host names]}' });

const log = options({
  level: choice('debug', 'info', 'warn', 'error')
    .prefault('info')
    .describe('The lowest level that is logged. `DEBUG=1` means `debug`.'),
  format: choice('auto', 'json', 'console')
    .prefault('auto')
    .describe('`auto`: readable on a terminal, JSON elsewhere.'),
  access: flag.prefault(true).describe('Log a line for each request.'),
});

function withoutEffect(reason: string) {
  return z.union([z.boolean(), z.number(), z.string()]).register(optionMeta, {
    type: 'any',
    expected: 'a simple value',
    withoutEffect: reason,
  });
}

const dns = options({
  servers: z
    .array(dnsServer)
    .max(16)
    .prefault([])
    .meta({
      description:
        'Name servers, tried in order over HTTPS (`https://…`) or TLS (`tls://host:port#name`). If empty, the system resolver is used.',
      examples: [['https://dns.google/dns-query', 'tls://1.1.1.1:853#cloudflare-dns.com']],
    }),
  bootstrap: z
    .array(ipAddress)
    .max(16)
    .prefault([])
    .meta({
      description:
        'Addresses of name servers that are given by name. If empty, the system resolver looks their names up.',
      examples: [['8.8.8.8']],
    }),
  fallback: choice('system', 'none')
    .prefault('system')
    .describe(
      'Resolver for names that no server knows, or when no server answers. Use `none` if the system resolver is not to be trusted.',
    ),
  hosts: z
    .record(
      domainName,
      z
        .union([ipAddress.transform((address) => [address]), z.array(ipAddress).min(1).max(16)])
        .register(optionMeta, { type: 'address or list', expected: 'an IP address, or a list of such' }),
    )
    .register(optionMeta, {
      type: 'map',
      expected: 'names with their addresses, such as {registry.example.com: 192.0.2.1}',
    })
    .prefault({})
    .meta({
      description: 'Fixed addresses of names, as in a hosts file.',
      examples: [{ 'registry.example.com': '192.0.2.1' }],
    }),
});

const transport = options({
  dial_timeout: deadline.prefault('10s').describe('For a connection to an upstream to open.'),
  tls_handshake_timeout: deadline.prefault('10s').describe('For its TLS handshake.'),
  response_header_timeout: deadline.prefault('30s').describe('For the head of a response.'),
  body_idle_timeout: deadline
    .prefault('30s')
    .describe('A body without a byte for this long is resumed or abandoned. There is no limit for a whole body.'),
  idle_conn_timeout: deadline.prefault('15s').describe('An idle connection is closed after this long.'),
  max_idle_conns_per_host: count({ least: 0, most: 10_000 }).prefault(16).describe('Idle connections kept, per host.'),
  max_idle_conns: count({ least: 0, most: 100_000 })
    .prefault(256)
    .describe('Idle connections kept by each HTTP client, over all hosts; 0 is no limit.'),
  max_conns_per_host: count({ least: 0, most: 100_000 })
    .prefault(64)
    .describe('Connections at once, per host; 0 is no limit. More requests wait.'),
  keepalive: hardLimit.prefault('30s').describe('Idle time before TCP keep-alive probes; 0 turns them off.'),
  first_fragment_len: count({ least: 0, most: 255 }).prefault(0).describe(FIRST_FRAGMENT_LEN),
  allow_plain_fallback: flag.prefault(true).describe(ALLOW_PLAIN_FALLBACK),
  outbound_proxy: outboundProxy.prefault('environment').describe(OUTBOUND_PROXY),
  dns: dns
    .prefault({})
    .describe('How names of upstreams are resolved. Behind an outbound proxy, the proxy resolves them.'),
  insecure_skip_verify: flag.prefault(false).describe('Accept any certificate of any upstream. For tests.'),
  ca_file: filePath('a PEM file of certificate authorities')
    .optional()
    .meta({
      description: 'Certificate authorities to trust besides the usual ones, PEM; for networks that inspect TLS.',
      examples: ['/etc/ssl/certs/company.pem'],
    }),
  allow_private: z
    .array(addressRange)
    .prefault([])
    .describe(
      'Private hosts, addresses and blocks that redirects and token services may lead to. Upstreams in this file are always allowed.',
    ),
  expect_continue_timeout: withoutEffect('request bodies are sent without waiting for 100 Continue')
    .optional()
    .describe('Accepted without effect: request bodies are sent without waiting for 100 Continue.'),
  force_http2: withoutEffect('upstreams are reached by HTTP/1.1')
    .optional()
    .describe('Accepted without effect: upstreams are reached by HTTP/1.1.'),
  disable_compression: withoutEffect('content is always requested and served uncompressed, as it is')
    .optional()
    .describe('Accepted without effect: content is always requested and served uncompressed, as it is.'),
});

/** The whole configuration: as operators write it (input), and as the program uses it (output). */
export const configSchema = options({
  listen: listen
    .prefault('127.0.0.1:5000')
    .describe(
      'Where to listen: an address, or a list of addresses and of `{address, tls, redirect_to_https}`. `PORT` sets the port where nothing else does.',
    ),
  public_url: originUrls.prefault([]).meta({
    description:
      'The address that clients use, or a list of them. Addresses in answers are made of the one that fits the request, else of the first.',
    examples: ['https://mirror.example.com', ['https://mirror.example.com', 'http://mirror.internal:5000']],
  }),
  trusted_proxies: z
    .array(proxyAddress)
    .max(1000)
    .prefault([])
    .meta({
      description:
        'Reverse proxies (addresses, blocks, `unix`) whose `X-Forwarded-For`, `-Proto` and `-Host`, or `Forwarded`, are trusted. From other clients these headers are ignored.',
      examples: [['127.0.0.1', '10.0.0.0/8']],
    }),
  domain_suffix: domainName.optional().meta({
    description:
      'With `mirror.example.com`, the host `ghcr.io.mirror.example.com` or `ghcr.mirror.example.com` means ghcr.io.',
    examples: ['mirror.example.com'],
  }),
  default_registry: registryNameOrUrl.optional().meta({
    description:
      'The registry for names without one: a name, or a URL. By default the `default` of the registry map, else docker.io.',
    examples: ['docker.io'],
  }),
  registry_map: fileOrUrl('a JSON file of names and registry URLs')
    .optional()
    .meta({
      description:
        'A JSON file, or its URL, that maps short names to registry URLs; adds to and overrides the known registries.',
      examples: ['./registrymap.json'],
    }),
  known_registries: flag
    .prefault(true)
    .describe('Serve the well-known public registries besides those listed under `registries`.'),
  allow_any: allowAny
    .prefault(false)
    .describe(
      'Serve any public registry that a client names, not only known ones; `{deny: [patterns]}` refuses some. Private addresses are always refused.',
    ),
  registries: registries.prefault({}).meta({
    description: 'Registries by name: a host, or a word of your own. A known one needs no settings (`ghcr.io:`).',
    examples: [{ 'ghcr.io': {}, apps: { hosted: true }, legacy: { upstreams: ['https://registry.example.com'] } }],
  }),
  mirrors: mirrors.prefault([]).meta({
    description: 'Mirrors of other sites, each under a path of this server, for downloads and `git clone`.',
    examples: [[{ name: 'github', prefix: '/github', upstream: 'https://github.com' }]],
  }),
  offline: flag
    .prefault(false)
    .describe(
      'Ask no upstream and no mirrored site: serve what is stored, tags as they were confirmed last, and answer 404 to the rest.',
    ),
  cache: cache.prefault({}).describe('The cache of pulled content; `off` only streams.'),
  warm: warm.prefault([]).meta({
    description: 'Images that are fetched into the cache by a schedule, before a client asks for them.',
    examples: [[{ name: 'base', images: ['nginx:1.27', 'ghcr.io/owner/app:1.2'], schedule: '0 3 * * *' }]],
  }),
  copy: copy.prefault([]).meta({
    description:
      'Images that are copied from one registry to another by a schedule: from a cold registry to a hot one, say. What is there already is not sent.',
    examples: [[{ images: [{ from: 'cold.example/team/app:1', to: 'hot/team/app' }], schedule: 'every 6h' }]],
  }),
  log: log.prefault({}).describe('Logging.'),
  tracing: tracing.prefault({}).describe('Traces, sent to an OpenTelemetry collector. Off without an `endpoint`.'),
  timeouts: timeouts.prefault({}).describe('Time limits for client connections.'),
  limits: limits.prefault({}).describe('Limits for concurrent requests and connections.'),
  transport: transport.prefault({}).describe('Connections to upstreams.'),
  transfer: transfer
    .prefault({})
    .describe('How large blobs are fetched: over several connections at once, where that is faster.'),
  access: access.optional().meta({
    description:
      'Who may do what. Without it, every client may pull everything where only this machine reaches the server, and what is public where other machines do.',
    examples: [{ rules: [{ who: 'anonymous', may: ['pull'], on: ['docker.io/library/**'] }] }],
  }),
  admin: admin.prefault({}).describe('The HTTP API under `/api`, and the page under `/ui`.'),
  forward_proxy: forwardProxy
    .prefault({})
    .describe('A forward proxy for clients that reach registries through this server.'),
  webhooks: webhooks.prefault([]).meta({
    description:
      'Receivers of what happens in repositories that are pushed to this server, of schedules that fail, and of a full disk.',
    examples: [
      [{ url: 'https://ci.example.com/hooks', events: ['push'], on: ['apps/**'], secret: { file: '/run/secrets/ci' } }],
    ],
  }),
});

type DeepReadonly<T> = T extends (infer Item)[]
  ? readonly DeepReadonly<Item>[]
  : { readonly [K in keyof T]: DeepReadonly<T[K]> };

/** A complete configuration: every default filled in, durations in milliseconds, sizes in bytes, paths absolute. */
export type Config = DeepReadonly<z.output<typeof configSchema>>;

/** One upstream of a registry. Without a `name`, it has that of its URL's host. */
export type UpstreamConfig = NonNullable<Config['registries'][string]['upstreams']>[number];
