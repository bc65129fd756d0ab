import { z } from 'zod';
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
  hostPattern,
  ipAddress,
  label,
  originUrl,
  outboundProxy,
  pattern,
  platform,
  proxyAddress,
  registryKey,
  registryNameOrUrl,
  registryUrl,
  size,
} from './fields.ts';
import { forwardProxy } from './forward-proxy.ts';
import { limits } from './limits.ts';
import { listen } from './listen.ts';
import { optionMeta } from './meta.ts';
import { mirrors } from './mirrors.ts';
import { timeouts } from './timeouts.ts';
import {
  ALLOW_PLAIN_FALLBACK,
  credentials,
  FIRST_FRAGMENT_LEN,
  headers,
  OUTBOUND_PROXY,
  upstreamTls,
  upstreamTransport,
} from './upstream.ts';

/*
 * The one definition. The types, the validation, the JSON Schema, the default configuration, the manual and the names of
 * environment variables all come from here, so a description here is what users read everywhere.
 *
 * Input is what people write (`10m`, `50GB`, `off`), output what the program uses (milliseconds, bytes, `'off'`).
 */

const upstreamObject = z.strictObject({
  url: registryUrl().describe('`http(s)://host[:port][/prefix]`; the API is at `<url>/v2/`.'),
  name: label().optional().describe('Shown in logs and metrics. The host of the URL unless given.'),
  credentials: credentials
    .optional()
    .describe(
      '`{username, password}`, or `{helper}` for a `docker-credential-<helper>` program; or a list, used in turn as the pulls of each run low.',
    ),
  headers: headers.prefault({}).describe('Sent with each request to this upstream, never to where it redirects.'),
  capabilities: z
    .array(choice('pull', 'resolve'))
    .min(1)
    .prefault(['pull', 'resolve'])
    .describe('`resolve`: it may say where a tag points; `pull`: it serves what a digest names.'),
  tls: upstreamTls.optional().describe('TLS towards this upstream.'),
  redirect_hosts: z
    .array(hostPattern())
    .optional()
    .describe('When given, the only hosts redirects may lead to besides the upstream itself.'),
  transport: upstreamTransport.optional().describe('How this upstream is reached, where it differs from `transport`.'),
  token_realms: z
    .array(hostPattern())
    .prefault([])
    .describe('Hosts a token service may have besides those of the upstream’s own domain.'),
});

const upstream = z.union([registryUrl().transform(upstreamOf), upstreamObject]).register(optionMeta, {
  type: 'URL or map',
  expected: 'an http:// or https:// address such as https://ghcr.io, or a map with a `url`',
});

function upstreamOf(url: string): z.output<typeof upstreamObject> {
  return { url, headers: {}, capabilities: ['pull', 'resolve'], token_realms: [] };
}

const registry = z.strictObject({
  aliases: z
    .array(aliasName())
    .prefault([])
    .describe('Other names for it, in host names, paths and in front of `/v2/`.'),
  upstreams: z
    .array(upstream)
    .min(1)
    .optional()
    .describe(
      'Who is asked, in order: the first that has it answers. A known registry needs none; a host name alone means `https://<name>`.',
    ),
  delivery: choice('stream', 'redirect')
    .prefault('stream')
    .describe(
      '`redirect`: answer a blob with a redirect to the upstream where clients can follow it; nothing is cached then.',
    ),
  library: flag()
    .optional()
    .describe('Put `library/` before one-word repositories, as Docker Hub does. Known registries know it themselves.'),
});

const registries = z.record(registryKey(), registry).register(optionMeta, {
  type: 'map',
  expected: 'a map of registry names, each with nothing or {aliases, upstreams, delivery, library}',
});

const freshness = z.strictObject({
  fresh_for: duration()
    .prefault('10m')
    .describe('How long a tag is served without asking its upstream whether it moved.'),
  rules: z
    .array(
      z.strictObject({
        match: pattern('docker.io/library/*:latest').describe(
          '`registry/repository:tag`; `*` within one component, `**` across.',
        ),
        fresh_for: duration().describe('For the tags that match.'),
      }),
    )
    .prefault([])
    .describe('The first that matches a tag decides for it.'),
  stale_after: duration()
    .prefault('2s')
    .describe('An upstream that has not answered by then is no longer waited for where an older answer is here.'),
  stale_on_not_found: flag()
    .prefault(false)
    .describe('Serve what is here although the upstream says that it has it no more.'),
});

const cacheOn = z.strictObject({
  dir: filePath('the directory of the cache')
    .prefault('./data')
    // Written into a file it would be relative to the file, and so another place than without one: shown as an example.
    .meta({
      description: 'Directory of the cache. One server per directory. Unless given, `data` in the working directory.',
      examples: ['/var/lib/entrepot'],
    }),
  max_size: size({ least: 1 })
    .optional()
    .meta({
      description: 'Bytes the cache may hold; what was read longest ago goes first. No limit unless given.',
      examples: ['50GB'],
    }),
  min_free: freeSpace()
    .optional()
    .meta({
      description:
        'What is to stay free of the disk, in bytes or as a share; more is evicted where there is less. Unless given, 1 GiB or 2 %, whichever is less.',
      examples: ['5%'],
    }),
  pin: z
    .array(pattern('docker.io/library/*:latest'))
    .prefault([])
    .describe('Tags whose images are never evicted: `registry/repository:tag`; `*` within one component, `**` across.'),
  platforms: z
    .array(platform())
    .min(1)
    .optional()
    .meta({
      description: 'The platforms that are kept; images of others are served and not kept. All unless given.',
      examples: [['linux/amd64', 'linux/arm64']],
    }),
  not_found_for: duration()
    .prefault('10s')
    .describe('How long it is believed that an upstream does not have a tag or manifest; 0s asks each time.'),
  tags: z
    .union([z.literal('never'), freshness])
    .register(optionMeta, { type: '`never` or map', expected: 'never, or a map such as {fresh_for: 10m}' })
    .prefault({})
    .describe('How long tags may be believed; `never` asks the upstream every time.'),
  on_range: choice('ingest', 'pass')
    .prefault('ingest')
    .describe(
      'A range far into a blob that is not cached: fetch the whole blob too (`ingest`), or only pass the range on.',
    ),
  verify_after: duration()
    .prefault('7d')
    .describe(
      'A stored blob that was found right this long ago is hashed again at its next read; 0 leaves it at its first read after each start.',
    ),
  manifests_in_memory: size({ most: 2 ** 32 })
    .prefault('32MiB')
    .describe('Bytes of manifests kept in memory.'),
});

const cache = z
  .union([z.literal(['off', false]), cacheOn])
  .transform((value): 'off' | z.output<typeof cacheOn> => (value === false ? 'off' : value))
  .register(optionMeta, { type: '`off` or map', expected: 'off, or a map such as {dir: ./data, max_size: 50GB}' });

const allowAny = z
  .union([
    z.boolean(),
    z.strictObject({
      deny: z.array(pattern('*.internal.example.com')).prefault([]).describe('Host names that stay closed.'),
    }),
  ])
  .transform((value): false | { deny: string[] } => (value === true ? { deny: [] } : value))
  .register(optionMeta, { type: 'boolean or map', expected: 'false, true, or {deny: [patterns of host names]}' });

const log = z.strictObject({
  level: choice('debug', 'info', 'warn', 'error')
    .prefault('info')
    .describe('The least that is logged. `DEBUG=1` means `debug`.'),
  format: choice('auto', 'json', 'console')
    .prefault('auto')
    .describe('`auto`: for people on a terminal, JSON elsewhere.'),
  access: flag().prefault(true).describe('A line for each request.'),
});

function withoutEffect(reason: string) {
  return z.union([z.boolean(), z.number(), z.string()]).register(optionMeta, {
    type: 'any',
    expected: 'a simple value',
    withoutEffect: reason,
  });
}

const dns = z.strictObject({
  servers: z
    .array(dnsServer())
    .max(16)
    .prefault([])
    .meta({
      description:
        'Name servers, asked in order over HTTPS (`https://…`) or TLS (`tls://host:port#name`). None: the system is asked.',
      examples: [['https://dns.google/dns-query', 'tls://1.1.1.1:853#cloudflare-dns.com']],
    }),
  bootstrap: z
    .array(ipAddress())
    .max(16)
    .prefault([])
    .meta({
      description:
        'Addresses of those servers that are given by name. Without any, the system is asked for that one name.',
      examples: [['8.8.8.8']],
    }),
  fallback: choice('system', 'none')
    .prefault('system')
    .describe(
      'Who is asked for what no server knows, or when none can be asked. `none` where the system is not to be trusted.',
    ),
  hosts: z
    .record(
      domainName(),
      z
        .union([ipAddress().transform((address) => [address]), z.array(ipAddress()).min(1).max(16)])
        .register(optionMeta, { type: 'address or list', expected: 'an IP address, or a list of such' }),
    )
    .register(optionMeta, {
      type: 'map',
      expected: 'names with their addresses, such as {registry.example.com: 192.0.2.1}',
    })
    .prefault({})
    .meta({
      description: 'Names with addresses of their own, which nobody is asked for.',
      examples: [{ 'registry.example.com': '192.0.2.1' }],
    }),
});

const transport = z.strictObject({
  dial_timeout: deadline().prefault('10s').describe('For a connection to an upstream.'),
  tls_handshake_timeout: deadline().prefault('10s').describe('For its TLS handshake.'),
  response_header_timeout: deadline().prefault('30s').describe('For the head of its answer.'),
  body_idle_timeout: deadline()
    .prefault('30s')
    .describe(
      'A body that stands still for this long is resumed elsewhere or given up. Bodies have no limit in total.',
    ),
  idle_conn_timeout: deadline().prefault('15s').describe('For an unused connection to be kept.'),
  max_idle_conns_per_host: count({ least: 0, most: 10_000 })
    .prefault(16)
    .describe('Unused connections kept, per host.'),
  max_idle_conns: count({ least: 0, most: 100_000 })
    .prefault(256)
    .describe('Unused connections kept by each client, over all hosts; 0 is no limit.'),
  max_conns_per_host: count({ least: 0, most: 100_000 })
    .prefault(64)
    .describe('Connections at once, per host; 0 is no limit. More requests wait.'),
  keepalive: hardLimit()
    .prefault('30s')
    .describe('Silence after which TCP asks whether the other side is still there; 0 never asks.'),
  first_fragment_len: count({ least: 0, most: 255 }).prefault(0).describe(FIRST_FRAGMENT_LEN),
  allow_plain_fallback: flag().prefault(true).describe(ALLOW_PLAIN_FALLBACK),
  outbound_proxy: outboundProxy().prefault('environment').describe(OUTBOUND_PROXY),
  dns: dns.prefault({}).describe('How names of upstreams become addresses. Behind an outbound proxy, it decides.'),
  insecure_skip_verify: flag().prefault(false).describe('Accept any certificate of any upstream. For tests.'),
  ca_file: filePath('a PEM file of certificate authorities')
    .optional()
    .meta({
      description: 'Authorities to trust besides the usual ones, PEM; for networks that inspect TLS.',
      examples: ['/etc/ssl/certs/company.pem'],
    }),
  allow_private: z
    .array(addressRange())
    .prefault([])
    .describe(
      'Private hosts, addresses and blocks that redirects and token services may lead to. Upstreams named here are always allowed.',
    ),
  expect_continue_timeout: withoutEffect('what a client sends is passed on without asking first')
    .optional()
    .describe('Accepted without effect: what a client sends is passed on without asking first.'),
  force_http2: withoutEffect('upstreams are asked by HTTP/1.1')
    .optional()
    .describe('Accepted without effect: upstreams are asked by HTTP/1.1.'),
  disable_compression: withoutEffect('bytes are always asked for, and passed on, as they are')
    .optional()
    .describe('Accepted without effect: bytes are always asked for, and passed on, as they are.'),
});

/** The whole configuration, as people write it (input) and as the program uses it (output). */
export const configSchema = z.strictObject({
  listen: listen
    .prefault('127.0.0.1:5000')
    .describe(
      'Where to listen: an address, or a list of addresses and of `{address, tls, redirect_to_https}`. `PORT` sets the port where nothing else does.',
    ),
  public_url: originUrl()
    .optional()
    .meta({
      description: 'How clients reach this server, where it cannot know it by itself: behind a load balancer, say.',
      examples: ['https://mirror.example.com'],
    }),
  trusted_proxies: z
    .array(proxyAddress())
    .max(1000)
    .prefault([])
    .meta({
      description:
        'Servers in front of this one (addresses, blocks, `unix`) whose `X-Forwarded-For`, `-Proto` and `-Host`, or `Forwarded`, are believed. From everyone else they are ignored.',
      examples: [['127.0.0.1', '10.0.0.0/8']],
    }),
  domain_suffix: domainName()
    .optional()
    .meta({
      description:
        'With `mirror.example.com`, the host `ghcr.io.mirror.example.com` or `ghcr.mirror.example.com` means ghcr.io.',
      examples: ['mirror.example.com'],
    }),
  default_registry: registryNameOrUrl()
    .optional()
    .meta({
      description:
        'The registry of names that say none: a name, or a URL. Unless given, the `default` of the registry map, or docker.io.',
      examples: ['docker.io'],
    }),
  registry_map: fileOrUrl('a JSON file of names and registry URLs')
    .optional()
    .meta({
      description:
        'A JSON file, or its URL, that maps short names to registry URLs; adds to and overrides the known registries.',
      examples: ['./registrymap.json'],
    }),
  known_registries: flag()
    .prefault(true)
    .describe('Know the public registries besides those listed under `registries`.'),
  allow_any: allowAny
    .prefault(false)
    .describe(
      'Serve any public registry that a name says, not only known ones; `{deny: [patterns]}` leaves some out. Never a private address.',
    ),
  registries: registries.prefault({}).meta({
    description: 'Registries by name: a host, or any word of your own. A known one needs nothing (`ghcr.io:`).',
    examples: [{ 'ghcr.io': {}, apps: { upstreams: ['https://registry.example.com'] } }],
  }),
  mirrors: mirrors.prefault([]).meta({
    description: 'Other sites, each under a path of this server: any URL of theirs, downloads and `git clone` too.',
    examples: [[{ name: 'github', prefix: '/github', upstream: 'https://github.com' }]],
  }),
  cache: cache.prefault({}).describe('Where what was pulled is kept; `off` only streams.'),
  log: log.prefault({}).describe('What is logged, and how.'),
  timeouts: timeouts.prefault({}).describe('Towards clients.'),
  limits: limits.prefault({}).describe('What is the most at once.'),
  transport: transport.prefault({}).describe('Towards upstreams.'),
  forward_proxy: forwardProxy.prefault({}).describe('For clients that ask for others through this server.'),
});

type DeepReadonly<T> = T extends (infer Item)[]
  ? readonly DeepReadonly<Item>[]
  : { readonly [K in keyof T]: DeepReadonly<T[K]> };

/** A complete configuration: every default filled in, durations in milliseconds, sizes in bytes, paths absolute. */
export type Config = DeepReadonly<z.output<typeof configSchema>>;

/** What is said of one registry; known registries need nothing of it. */
export type RegistryConfig = Config['registries'][string];

/** One upstream of a registry. `name` is undefined where the host of the URL will do. */
export type UpstreamConfig = NonNullable<RegistryConfig['upstreams']>[number];

/** What the forward proxy does, and for whom. */
export type { Listener } from './listen.ts';
export type ForwardProxyConfig = Config['forward_proxy'];

/** The cache where it is on. */
export type CacheConfig = Exclude<Config['cache'], 'off'>;
