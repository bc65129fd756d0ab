/**
 * Options of other mirrors and registries, with what to write instead: for operators who bring a configuration along, or
 * who remember a name from elsewhere.
 */
const AT_TOP: Readonly<Record<string, string>> = {
  // Rewriting Mirror
  access_log: 'log: {access: true}',
  public_base_url: 'public_url',
  public_prefix: 'mirrors: [{name: …, prefix: …, upstream: …}]',
  preserve_host: 'mirrors: [{name: …, prefix: …, upstream: …, preserve_host: true}]',
  routes: 'mirrors, each with name, prefix and upstream',
  tls: 'listen: [{address: ":5000", tls: {cert_file: …, key_file: …}}]',
  // Container Registry Mirrors
  allowed_hosts: 'forward_proxy: {enabled: true, allowed_hosts: […]}',
  insecure_tls: 'transport: {insecure_skip_verify: true}',
  ca_cert_path: 'forward_proxy: {mitm: {ca_cert_file: …}}',
  ca_key_path: 'forward_proxy: {mitm: {ca_key_file: …}}',
  log_level: 'log: {level: …}',
  mitm: 'forward_proxy: {mitm: {enabled: true, ca_cert_file: …, ca_key_file: …}}',
  // Mirror Registry
  server: 'listen: :5000',
  registry: 'registries: {NAME: {upstreams: […]}}, hot first, then cold',
  hot: 'registries: {NAME: {upstreams: […]}}, hot first, then cold',
  cold: 'registries: {NAME: {upstreams: […]}}, hot first, then cold',
  logging: 'log: {level: …, format: …}',
  // crproxy
  registrymap: 'registry_map',
  defaultregistry: 'default_registry',
  domainsuffix: 'domain_suffix',
  loglevel: 'log: {level: …}',
  cachedir: 'cache: {dir: …}',
  adminpassword: 'nothing: there is no admin page to protect',
  debug: 'log: {level: debug}',
  // docxy
  cert_path: 'listen: [{address: ":5000", tls: {cert_file: …, key_file: …}}]',
  key_path: 'listen: [{address: ":5000", tls: {cert_file: …, key_file: …}}]',
  // docker-registry, and words that programs have in common
  http: 'listen: :5000',
  proxy:
    'registries: {docker.io: {upstreams: [{url: …, credentials: {username: …, password: …}}]}} for a registry, transport: {outbound_proxy: …} for an outbound proxy,',
  storage: 'cache: {dir: …}',
  port: 'listen: :5000',
  host: 'listen: HOST:5000',
  addr: 'listen: :5000',
  address: 'listen: :5000',
  bind: 'listen: :5000',
  cache_dir: 'cache: {dir: …}',
  ttl: 'cache: {tags: {fresh_for: …}}',
  log_format: 'log: {format: …}',
  verbose: 'log: {level: debug}',
  upstream: 'registries: {NAME: {upstreams: […]}}',
  upstreams: 'registries: {NAME: {upstreams: […]}}',
  auth: 'credentials of an upstream; clients of this server need none',
  users: 'nothing: this server has no users; see SECURITY.md',
  metrics: 'nothing: /metrics is always served',
};

/** The same below the top level: the first that the section has. */
const INSIDE: Readonly<Record<string, readonly string[]>> = {
  access_log: ['access'],
  public_prefix: ['prefix'],
  insecure_tls: ['tls: {insecure_skip_verify: true}', 'insecure_skip_verify: true'],
  insecure: ['tls: {insecure_skip_verify: true}', 'insecure_skip_verify: true'],
  skip_verify: ['tls: {insecure_skip_verify: true}', 'insecure_skip_verify: true'],
  ca_cert_path: ['ca_cert_file'],
  ca_key_path: ['ca_key_file'],
  cert_path: ['cert_file', 'ca_cert_file'],
  key_path: ['key_file', 'ca_key_file'],
  cert: ['cert_file', 'ca_cert_file'],
  key: ['key_file', 'ca_key_file'],
  ca: ['ca_file'],
  remoteurl: ['url'],
  endpoint: ['url'],
  host: ['url'],
  token: ['credentials: {username: …, password: …}'],
  rootdirectory: ['dir'],
  path: ['dir'],
  directory: ['dir'],
  size: ['max_size'],
  ttl: ['tags: {fresh_for: …}'],
};

/**
 * What to write instead of an option of another program; undefined for a name that is not known here.
 *
 * @param known the options of the section that the name stands in
 */
export function substituteFor(path: readonly PropertyKey[], known: readonly string[]): string | undefined {
  const word = String(path.at(-1));
  const key = word.toLowerCase().replaceAll('-', '_');
  if (path.length === 1) return Object.hasOwn(AT_TOP, key) ? AT_TOP[key] : undefined;
  const candidates = Object.hasOwn(INSIDE, key) ? (INSIDE[key] ?? []) : [];
  return candidates.find((text) => known.includes(/^\w*/.exec(text)?.[0] ?? ''));
}
