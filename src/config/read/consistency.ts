import { isIP } from 'node:net';
import { type ConfigProblem, formatKey } from '../problems.ts';
import type { Config, UpstreamConfig } from '../schema/index.ts';
import { formatListenAddress } from '../schema/index.ts';
import { type Path, sourceAt, type Tree } from '../tree.ts';

/** What each option allows by itself, but no configuration can mean. Pure. */
export function checkConsistency(config: Config, settings: Tree | undefined): readonly ConfigProblem[] {
  const problems: ConfigProblem[] = [];
  const report = (path: Path, message: string) => {
    problems.push({ source: sourceAt(settings, path), key: formatKey(path), message });
  };
  checkListeners(config, report);
  checkRegistries(config, report);
  checkForwardProxy(config, report);
  checkMirrors(config, report);
  const { servers, fallback } = config.transport.dns;
  if (servers.length === 0 && fallback === 'none') {
    report(
      ['transport', 'dns', 'fallback'],
      'found none without any servers, expected at least one: nobody could be asked',
    );
  }
  return problems;
}

/** What works, but an operator should know of. Pure. */
export function findNotes(config: Config): readonly string[] {
  const notes: string[] = [];
  for (const [name, { upstreams = [] }] of Object.entries(config.registries)) {
    for (const { url, credentials } of upstreams) {
      if (credentials !== undefined && isClear(url)) {
        notes.push(`registries: credentials for ${name} go to ${url} in the clear; https would keep them`);
      }
    }
  }
  if (config.transport.insecure_skip_verify) {
    notes.push('transport.insecure_skip_verify: no certificate of any upstream is checked');
  }
  for (const { name, upstream, credentials } of config.mirrors) {
    if (credentials !== undefined && isClear(upstream)) {
      notes.push(`mirrors: credentials for ${name} go to ${upstream} in the clear; https would keep them`);
    }
  }
  const { enabled, anonymous, user, allowed_hosts, presets, mitm } = config.forward_proxy;
  if (!enabled && (mitm.enabled || user !== undefined || allowed_hosts !== undefined || presets !== undefined)) {
    notes.push('forward_proxy: it is off, whatever else is set there, until forward_proxy.enabled is true');
  }
  if (enabled && anonymous && user === undefined) {
    notes.push('forward_proxy.anonymous: whoever reaches this server may go through it to the allowed hosts');
  }
  return notes;
}

type Report = (path: Path, message: string) => void;

function checkListeners({ listen, public_url, trusted_proxies }: Config, report: Report): void {
  const seen = new Set<string>();
  const isInFront = public_url?.startsWith('https:') === true || trusted_proxies.length > 0;
  const hasTls = isInFront || listen.some(({ tls }) => tls !== undefined);
  for (const [index, { address, tls, redirect_to_https }] of listen.entries()) {
    const text = formatListenAddress(address);
    const isChosenBySystem = 'port' in address && address.port === 0;
    if (seen.has(text) && !isChosenBySystem)
      report(['listen', index], `found ${text} a second time, expected each address once`);
    seen.add(text);
    const path = ['listen', index, 'redirect_to_https'];
    if (redirect_to_https && tls !== undefined) {
      report(path, 'found it beside tls, expected it on a listener without: there is nothing to redirect to');
    } else if (redirect_to_https && !hasTls) {
      report(
        path,
        'found no HTTPS to redirect to, expected a listener with tls, a public_url with https:// or trusted_proxies',
      );
    }
  }
}

function checkForwardProxy({ forward_proxy, listen, cache }: Config, report: Report): void {
  const { user, password, mitm, listen: own = [] } = forward_proxy;
  const path = ['forward_proxy'];
  if ((user === undefined) !== (password === undefined))
    report(path, 'found one of user and password, expected both or none');
  if ((mitm.ca_cert_file === undefined) !== (mitm.ca_key_file === undefined)) {
    report([...path, 'mitm'], 'found one of ca_cert_file and ca_key_file, expected both or none');
  }
  if (forward_proxy.enabled && mitm.enabled && mitm.ca_cert_file === undefined && cache === 'off') {
    report([...path, 'mitm'], 'found no ca_cert_file, expected one where there is no cache directory to make it in');
  }
  const seen = new Set<string>();
  for (const [index, { address }] of own.entries()) {
    if ('port' in address && address.port === 0) continue;
    const text = formatListenAddress(address);
    const at = [...path, 'listen', index];
    if (seen.has(text)) report(at, `found ${text} a second time, expected each address once`);
    seen.add(text);
    if (listen.some((usual) => formatListenAddress(usual.address) === text)) {
      report(at, `found ${text}, which is under listen already, expected another; without it, those are used`);
    }
  }
}

/** What this server answers itself, as the first segment of a path. */
const OWN_PATHS = new Set([
  '_rmirror',
  'auth',
  'ca.crt',
  'health',
  'healthz',
  'help',
  'metrics',
  'readyz',
  'token',
  'v2',
]);
/** What `route` in log and metrics says of requests that are no mirror's. */
const OWN_ROUTES = new Set([
  'ca',
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
      report([...path, 'name'], `found "${name}", which requests of other kinds are called`);
    names.add(name);
    const owner = prefixes.get(prefix);
    const first = prefix.split('/', 2)[1] ?? '';
    if (owner !== undefined) report([...path, 'prefix'], `found ${prefix}, which ${owner} has already`);
    else if (OWN_PATHS.has(first)) {
      report(
        [...path, 'prefix'],
        `found ${prefix}, expected another first segment: this server answers /${first} itself`,
      );
    }
    prefixes.set(prefix, name);
    if (Array.isArray(credentials)) {
      report([...path, 'credentials'], 'found a list, expected one credential: a site has no pulls to share out');
    }
    if (tls === undefined) continue;
    if (upstream.startsWith('http:')) report([...path, 'tls'], 'found it with an http:// address, expected https://');
    if ((tls.cert_file === undefined) !== (tls.key_file === undefined)) {
      report([...path, 'tls'], 'found one of cert_file and key_file, expected both or none');
    }
  }
}

function checkRegistries({ registries, registry_map }: Config, report: Report): void {
  const owners = new Map<string, string>(Object.keys(registries).map((name) => [name, name]));
  for (const [name, registry] of Object.entries(registries)) {
    const path = ['registries', name];
    const isHost = name.includes('.') || name.includes(':') || name === 'localhost';
    if (registry.upstreams === undefined && !isHost && registry_map === undefined) {
      report(path, 'found no upstreams, expected at least one: only a host name says by itself where to ask');
    }
    for (const [index, alias] of registry.aliases.entries()) {
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
    for (const [index, upstream] of (registry.upstreams ?? []).entries()) {
      checkUpstream(upstream, { path: [...path, 'upstreams', index], names, report });
    }
  }
}

function checkUpstream(
  { name, url, tls }: UpstreamConfig,
  { path, names, report }: { readonly path: Path; readonly names: Set<string>; readonly report: Report },
): void {
  if (name !== undefined) {
    if (names.has(name)) report([...path, 'name'], `found "${name}" a second time, expected each name once`);
    names.add(name);
  }
  if (tls === undefined) return;
  if (url.startsWith('http:')) report([...path, 'tls'], 'found it with an http:// address, expected https://');
  if ((tls.cert_file === undefined) !== (tls.key_file === undefined)) {
    report([...path, 'tls'], 'found one of cert_file and key_file, expected both or none');
  }
}

/** Whether what is sent to a URL can be read on its way. */
function isClear(url: string): boolean {
  const { protocol, hostname } = new URL(url);
  const isLoopback =
    hostname === 'localhost' || hostname === '[::1]' || (isIP(hostname) === 4 && hostname.startsWith('127.'));
  return protocol === 'http:' && !isLoopback;
}
