import { isIP } from 'node:net';
import { isDeepStrictEqual } from 'node:util';
import { faultOfLook } from '../../lib/index.ts';
import { type ConfigProblem, formatKey } from '../problems.ts';
import type { Config, UpstreamConfig } from '../schema/index.ts';
import { formatListenAddress, isAnonymous, type ListenAddress, OWN_PATHS, RESERVED_PATHS } from '../schema/index.ts';
import { isNull, type Path, sourceAt, type Tree, treeAt } from '../tree.ts';
import { checkHosting, checkWritingRules, isAllHosted } from './hosted.ts';
import { checkScheduled } from './schedules.ts';
import { checkStrategies } from './strategies.ts';
import { checkWebhooks } from './webhooks/index.ts';

/** Problems between options that are valid by themselves. Pure. */
export function checkConsistency(config: Config, settings: Tree | undefined): readonly ConfigProblem[] {
  const problems: ConfigProblem[] = [];
  const report = (path: Path, message: string) => {
    problems.push({ source: sourceAt(settings, path), key: formatKey(path), message });
  };
  checkListeners(config, report);
  checkListenerTls(config, report);
  checkRegistries(config, report);
  checkStrategies(config, report);
  checkHosting(config, report);
  checkForwardProxy(config, report);
  checkOwnListeners(config, report);
  checkMirrors(config, report);
  checkAccess(config, report);
  checkWritingRules(config, report);
  checkScheduled(config, report);
  checkWebhooks(config, report);
  const access = treeAt(settings, ['access']);
  // Without a value an option has its default, and that is open to every client.
  if (access !== undefined && isNull(access)) {
    report(['access'], 'found no value, expected rules; write {} to refuse everything, or remove the line to be open');
  }
  const { servers, fallback } = config.transport.dns;
  if (servers.length === 0 && fallback === 'none') {
    report(
      ['transport', 'dns', 'fallback'],
      'found none without any servers, expected at least one server: no name could be resolved',
    );
  }
  return problems;
}

type Report = (path: Path, message: string) => void;

function checkListeners({ listen, publicUrl, trustedProxies }: Config, report: Report): void {
  const seen: ListenAddress[] = [];
  const isInFront = publicUrl.some((url) => url.startsWith('https:')) || trustedProxies.length > 0;
  const hasTls = isInFront || listen.some(({ tls }) => tls !== undefined);
  for (const [index, { address, tls, redirectToHttps }] of listen.entries()) {
    const text = formatListenAddress(address);
    const owner = seen.find((each) => isTakenBy(address, each));
    if (owner !== undefined) {
      const taken = formatListenAddress(owner);
      const fault = taken === text ? ' a second time, expected each address once' : `, ${tookAlready(taken, 'listen')}`;
      report(['listen', index], `found ${text}${fault}`);
    }
    seen.push(address);
    const path = ['listen', index, 'redirect_to_https'];
    if (redirectToHttps && tls !== undefined) {
      report(path, 'found it on a listener with tls, expected it on one without: HTTPS needs no redirect');
    } else if (redirectToHttps && !hasTls) {
      report(
        path,
        'found no HTTPS to redirect to, expected a listener with tls, a public_url with https:// or trusted_proxies',
      );
    }
  }
}

/** Each listener with `tls` has one source of its certificate; certificates that share files are ordered in one way. */
function checkListenerTls({ listen, forwardProxy, admin, cache }: Config, report: Report): void {
  const owners = new Map<string, { readonly acme: AcmeConfig; readonly path: Path }>();
  const listeners = [
    ...listen.map(({ tls }, at) => ({ tls, path: ['listen', at, 'tls'] })),
    ...forwardProxy.listen.map(({ tls }, at) => ({ tls, path: ['forward_proxy', 'listen', at, 'tls'] })),
    ...admin.listen.map(({ tls }, at) => ({ tls, path: ['admin', 'listen', at, 'tls'] })),
  ];
  for (const { tls, path } of listeners) {
    if (tls === undefined) continue;
    const { certFile, keyFile, acme } = tls;
    const hasFile = certFile !== undefined || keyFile !== undefined;
    if (acme !== undefined && hasFile) {
      report(path, 'found acme and a certificate’s file, expected either acme, or cert_file and key_file');
    } else if (acme === undefined && !hasFile) {
      report(path, 'found no certificate, expected cert_file and key_file, or acme: {domains: [mirror.example.com]}');
    } else if (acme === undefined && (certFile === undefined || keyFile === undefined)) {
      const [missing, what] = certFile === undefined ? ['cert_file', 'certificate'] : ['key_file', 'private key'];
      report([...path, missing], `missing, expected the path of the PEM ${what}; one file may hold both`);
    }
    if (acme === undefined) continue;
    const at = [...path, 'acme'];
    const repeated = acme.domains.find((domain, index) => acme.domains.indexOf(domain) !== index);
    if (repeated !== undefined) {
      report([...at, 'domains'], `found ${repeated} a second time, expected each domain once`);
    }
    if (acme.dir === undefined && cache === 'off') {
      report(at, 'found no dir, expected one: with the cache off, there is no directory to keep the certificate in');
    }
    // The certificate's files are named after its first domain.
    const key = JSON.stringify([acme.domains[0], acme.server, acme.dir]);
    const owner = owners.get(key);
    if (owner !== undefined && !isDeepStrictEqual(owner.acme, acme)) {
      report(
        at,
        `found other settings for ${acme.domains[0]} than at ${formatKey(owner.path)}, expected the same, or another first domain`,
      );
    }
    owners.set(key, owner ?? { acme, path: at });
  }
}

type AcmeConfig = NonNullable<NonNullable<Config['listen'][number]['tls']>['acme']>;

function checkAccess({ access, forwardProxy: { user } }: Config, report: Report): void {
  if (access === undefined) return;
  if (user !== undefined && isAnonymous(user)) {
    report(['forward_proxy', 'user'], `found ${user}, which stands for every client in rules, expected another name`);
  }
  const fault = user === undefined ? undefined : faultOfLook(user);
  if (fault !== undefined) report(['forward_proxy', 'user'], `found a name that no rule can have; ${fault}`);
  for (const [at, { who, may, on }] of access.rules.entries()) {
    const path = ['access', 'rules', at];
    const onRepositories = may.some((action) => ON_REPOSITORIES.has(action));
    if (onRepositories && on.length === 0) {
      report([...path, 'on'], 'found no patterns, expected what the rule is for, such as docker.io/library/** or **');
    }
    if (!onRepositories && on.length > 0) {
      report(
        [...path, 'on'],
        `found patterns, expected none: patterns narrow pull, catalog, push and delete, and this rule is for ${may.join(' and ')}; leave them out`,
      );
    }
    for (const name of who) {
      if (!name.startsWith('@') || Object.hasOwn(access.groups, name.slice(1))) continue;
      report([...path, 'who'], `found ${name}, expected a group of access.groups, or a user without @`);
    }
  }
}

/** Actions that concern repositories, and so need patterns of them. */
const ON_REPOSITORIES: ReadonlySet<string> = new Set(['pull', 'catalog', 'push', 'delete']);

function checkForwardProxy({ forwardProxy, cache }: Config, report: Report): void {
  const { user, password, mitm } = forwardProxy;
  const path = ['forward_proxy'];
  if ((user === undefined) !== (password === undefined))
    report(path, 'found one of user and password, expected both or none');
  if ((mitm.caCertFile === undefined) !== (mitm.caKeyFile === undefined)) {
    report([...path, 'mitm'], 'found one of ca_cert_file and ca_key_file, expected both or none');
  }
  if (forwardProxy.enabled && mitm.enabled && mitm.caCertFile === undefined && cache === 'off') {
    report(
      [...path, 'mitm'],
      'found no ca_cert_file, expected one: with the cache off, there is no directory to create it in',
    );
  }
}

/** The listeners of the forward proxy and of the admin API: each address once, and none that another listener takes already. */
function checkOwnListeners({ listen, forwardProxy, admin }: Config, report: Report): void {
  const taken = listen.map(({ address }) => ({ address, option: 'listen' }));
  for (const [section, own] of [
    ['forward_proxy', forwardProxy.listen],
    ['admin', admin.listen],
  ] as const) {
    const option = `${section}.listen`;
    for (const [index, { address }] of own.entries()) {
      const text = formatListenAddress(address);
      const at = [section, 'listen', index];
      const owner = taken.find((each) => isTakenBy(address, each.address));
      taken.push({ address, option });
      if (owner === undefined) continue;
      const isSame = formatListenAddress(owner.address) === text;
      if (!isSame) {
        report(at, `found ${text}, ${tookAlready(formatListenAddress(owner.address), owner.option)}`);
      } else if (owner.option === option) report(at, `found ${text} a second time, expected each address once`);
      else if (owner.option === 'listen') {
        report(
          at,
          `found ${text}, which is under listen already, expected another address, or no ${option} to share those`,
        );
      } else report(at, `found ${text}, which is under ${owner.option} already, expected another address`);
    }
  }
}

function tookAlready(text: string, option: string): string {
  return `which ${text} under ${option} takes already, expected another port, or addresses of their own on both`;
}

/** Whether two listeners cannot be open at once, as far as their addresses tell. What a host name leads to is not known. */
function isTakenBy(one: ListenAddress, other: ListenAddress): boolean {
  if ('path' in one || 'path' in other) return formatListenAddress(one) === formatListenAddress(other);
  if (one.port !== other.port || one.port === 0) return false;
  return one.host === other.host || takesHost(one.host, other.host) || takesHost(other.host, one.host);
}

/** Whether a listener on an address takes another address too: without a host, and on `::`, it takes those of IPv4 as well. */
function takesHost(host: string | undefined, other: string | undefined): boolean {
  if (host === undefined || host === '::') return true;
  return host === '0.0.0.0' && other !== undefined && isIP(other) === 4;
}

/** Values of `route` in log and metrics for other requests than those of mirror routes. */
const OWN_ROUTES = new Set([
  'acme',
  'api',
  'ca',
  'events',
  'forward',
  'health',
  'help',
  'metrics',
  'mitm',
  'none',
  'registry',
  'token',
  'tunnel',
]);

function checkMirrors({ mirrors }: Config, report: Report): void {
  const names = new Set<string>();
  const prefixes = new Map<string, string>();
  for (const [index, { name, prefix, upstream, tls, credentials }] of mirrors.entries()) {
    const path = ['mirrors', index];
    if (names.has(name)) report([...path, 'name'], `found "${name}" a second time, expected each name once`);
    else if (OWN_ROUTES.has(name))
      report([...path, 'name'], `found "${name}", expected another name: log and metrics use it for other requests`);
    names.add(name);
    const owner = prefixes.get(prefix);
    const first = prefix.split('/', 2)[1] ?? '';
    if (owner !== undefined) report([...path, 'prefix'], `found ${prefix}, which the route ${owner} has already`);
    else if (OWN_PATHS.has(first)) {
      report(
        [...path, 'prefix'],
        `found ${prefix}, expected another first segment: this server answers /${first} itself`,
      );
    } else if (RESERVED_PATHS.has(first)) {
      report(
        [...path, 'prefix'],
        `found ${prefix}, expected another first segment: /${first} is reserved for this server`,
      );
    }
    prefixes.set(prefix, name);
    if (Array.isArray(credentials)) {
      report([...path, 'credentials'], 'found a list, expected one credential: only registries take several in turn');
    }
    checkTls({ url: upstream, tls }, [...path, 'tls'], report);
  }
}

function checkRegistries({ registries, registryMap }: Config, report: Report): void {
  const owners = new Map<string, string>(Object.keys(registries).map((name) => [name, name]));
  for (const [name, registry] of Object.entries(registries)) {
    const path = ['registries', name];
    const isHost = name.includes('.') || name.includes(':') || name === 'localhost';
    if (registry.upstreams === undefined && !isHost && registryMap === undefined && !isAllHosted(registry)) {
      report(
        path,
        'found no upstreams, expected at least one, or hosted: true for images that are pushed here: only a host name implies its upstream',
      );
    }
    if (RESERVED_PATHS.has(name)) report(path, describeReserved(name));
    for (const [index, alias] of registry.aliases.entries()) {
      if (RESERVED_PATHS.has(alias)) report([...path, 'aliases', index], describeReserved(alias));
      const owner = owners.get(alias);
      if (owner !== undefined) {
        report(
          [...path, 'aliases', index],
          `found "${alias}", which names ${owner} already, expected a name of its own`,
        );
      }
      owners.set(alias, name);
    }
    const names = new Set<string>();
    for (const [index, { name: own, url, tls }] of (registry.upstreams ?? []).entries()) {
      const at = [...path, 'upstreams', index];
      if (own !== undefined && names.has(own)) {
        report([...at, 'name'], `found "${own}" a second time, expected each name once`);
      }
      if (own !== undefined) names.add(own);
      checkTls({ url, tls }, [...at, 'tls'], report);
    }
  }
}

function describeReserved(name: string): string {
  return `found the name "${name}", expected another such as ${name}-images: /${name} is reserved for this server, so /${name}/v2/ would not reach it`;
}

function checkTls(
  { url, tls }: Pick<UpstreamConfig, 'url'> & { tls: UpstreamConfig['tls'] },
  path: Path,
  report: Report,
): void {
  if (tls === undefined) return;
  if (url.startsWith('http:')) report(path, 'found it with an http:// address, expected https://');
  if ((tls.certFile === undefined) !== (tls.keyFile === undefined)) {
    report(path, 'found one of cert_file and key_file, expected both or none');
  }
}
