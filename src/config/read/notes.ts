import type * as z from 'zod';
import { compileGlob } from '../../lib/index.ts';
import { mayBeKey } from '../../oci/index.ts';
import { isClear, isLoopback } from '../loopback.ts';
import { type ConfigProblem, formatKey } from '../problems.ts';
import type { Config, UpstreamConfig } from '../schema/index.ts';
import { configSchema, formatListenAddress, isMarked, markOf, schemasAt } from '../schema/index.ts';
import { isNull, type Path, scalarsOf, sourceAt, type Tree, treeAt } from '../tree.ts';
import { noteHosting } from './hosted.ts';
import { noteRepeated } from './repeated.ts';
import { noteScheduled } from './schedules.ts';
import { isVariable, oddityOf } from './secrets.ts';
import { noteStrategies } from './strategies.ts';
import { noteTransfers } from './transfers.ts';
import { noteWebhooks } from './webhooks/index.ts';
import { noteWideRanges } from './wide-ranges.ts';

/** Names listed in one note. */
const MAX_NAMES = 5;

/**
 * Notes on a valid configuration: settings that are dangerous, and settings without effect. Each has its place and its
 * remedy, as a problem has. Pure.
 */
export function findNotes(config: Config, settings: Tree | undefined): readonly ConfigProblem[] {
  const notes: ConfigProblem[] = [];
  const note: Note = (path, message) => {
    notes.push({ source: sourceAt(settings, path), key: formatKey(path), message });
  };
  const listeners = openListeners(config, settings);
  noteWithoutEffect(settings, note);
  // With rules, nothing is open that no rule opens.
  if (config.access === undefined) {
    noteOnlyPublic(config, listeners, note);
    noteAnyone(config, listeners, note);
  }
  noteHosting(config, note);
  noteStrategies(config, note);
  noteUnproved(config, note);
  noteForwardProxy(config, listeners, note);
  noteAccess(config, listeners, note);
  noteIdleRules(config, note);
  noteIdleAdmin(config, note);
  noteNoAddress(settings, note);
  noteUnencrypted(config, note);
  notePlainRealms(config, note);
  noteUnchecked(config, note);
  noteWideRanges(config, note);
  noteShadowed(config, note);
  noteIdleLimits(config, settings, note);
  noteTransfers(config, settings, note);
  noteOwnHeaders(config, note);
  noteScheduled(config, note);
  noteWebhooks(config, note);
  noteRepeated(config, settings, note);
  noteOddTexts(settings, note);
  return notes;
}

type Note = (path: Path, message: string) => void;

interface OpenListener {
  readonly path: Path;
  /** As messages show it. */
  readonly text: string;
  /** Whether it serves the forward proxy. */
  readonly forward: boolean;
}

/** Whether other machines can reach the server; what is in front of a loopback address or a Unix socket is not known. */
export function isReachable(config: Config): boolean {
  return openListeners(config, undefined).length > 0;
}

/** The listeners that other machines can reach, and that serve more than a redirect to HTTPS. */
function openListeners({ listen, forwardProxy }: Config, settings: Tree | undefined): readonly OpenListener[] {
  const { enabled, listen: own } = forwardProxy;
  // A single address is written without a list around it.
  const pathOf = (path: Path, index: number) => (treeAt(settings, path)?.kind === 'list' ? [...path, index] : path);
  const shared = listen.map(({ address, redirectToHttps }, index) => ({
    address,
    path: pathOf(['listen'], index),
    forward: enabled && own.length === 0,
    serves: !redirectToHttps,
  }));
  const apart = (enabled ? own : []).map(({ address }, index) => ({
    address,
    path: pathOf(['forward_proxy', 'listen'], index),
    forward: true,
    serves: true,
  }));
  return [...shared, ...apart].flatMap(({ address, path, forward, serves }) =>
    serves && 'port' in address && !isLoopback(address.host)
      ? [{ path, text: formatListenAddress(address), forward }]
      : [],
  );
}

/** The settings of a registry's upstream or of a mirror route that decide how it is reached. */
interface Remote extends Pick<UpstreamConfig, 'url' | 'credentials' | 'headers' | 'tls'> {
  /** The name of its registry or route. */
  readonly name: string;
  readonly path: Path;
}

function remotesOf({ registries, mirrors }: Config): readonly Remote[] {
  const ofRegistries = Object.entries(registries).flatMap(([name, { upstreams = [] }]) =>
    upstreams.map((upstream, at) => ({ ...upstream, name, path: ['registries', name, 'upstreams', at] })),
  );
  const ofMirrors = mirrors.map(({ upstream, ...route }, at) => ({ ...route, url: upstream, path: ['mirrors', at] }));
  return [...ofRegistries, ...ofMirrors];
}

/** Headers that are known to carry credentials, with the names that sites have given theirs (`PRIVATE-TOKEN`). */
const SECRET_HEADER = /^(?:cookie|proxy-authorization)$|auth|token|secret|credential|api-?key|session|password/i;

/** The option that makes requests to a remote those of an account: a credential, a header or a client certificate. */
function credentialOf({ credentials, headers, tls }: Remote): Path | undefined {
  if (credentials !== undefined) return ['credentials'];
  const header = Object.keys(headers).find((name) => SECRET_HEADER.test(name));
  if (header !== undefined) return ['headers', header];
  return tls?.certFile === undefined ? undefined : ['tls', 'cert_file'];
}

/** Whether a remote may show this server what it would not show to every client, as the gate has it. */
function isKnownTo(remote: Remote): boolean {
  return credentialOf(remote) !== undefined || Object.keys(remote.headers).some(mayBeKey);
}

/** Without rules, other machines see of a registry with credentials what is public, and nothing of such a mirror route. */
function noteOnlyPublic(config: Config, [listener]: readonly OpenListener[], note: Note): void {
  if (listener === undefined) return;
  const owners = remotesOf(config).filter(isKnownTo);
  const registries = owners.filter(({ path }) => path[0] === 'registries');
  const routes = owners.filter(({ path }) => path[0] === 'mirrors');
  if (registries.length > 0) {
    note(
      listener.path,
      `${listener.text} can be reached from other machines, so it shows them of ${namesOf(registries)} only what is public: ` +
        'what the upstream shows without the credentials too. ' +
        'For private images set access with rules for users, or a rule for anonymous with private: true',
    );
  }
  if (routes.length > 0) {
    note(
      listener.path,
      `${listener.text} can be reached from other machines, so it refuses them ${namesOf(routes)}: the credentials could read what is private. ` +
        'Set access with a rule for mirror:NAME/**: for users, or for anonymous with private: true',
    );
  }
}

const OPEN_CONSOLE =
  'opens /metrics, the API and the page to every client: the state of upstreams, how full the disk is, figures of the whole server, and what is stored and pulled of the repositories that it may pull from. ' +
  'Leave status out, and name users or tokens that may status; a scraper of /metrics takes a token';
const OPEN_METRICS =
  'opens /metrics to every client. Leave status out, and name users or tokens that may status; a scraper of /metrics takes a token';

/** Rules that open less or more than they seem to, and ways in which clients cannot log in or do so in clear text. */
function noteAccess(config: Config, [listener]: readonly OpenListener[], note: Note): void {
  const { access, publicUrl, domainSuffix, listen } = config;
  if (access === undefined) return;
  for (const [at, rule] of access.rules.entries()) {
    const path = ['access', 'rules', at] as const;
    if (rule.private && !rule.who.includes('anonymous')) {
      note([...path, 'private'], 'without effect: a rule for users covers private repositories in any case');
    } else if (rule.private && !rule.may.some((action) => action === 'pull' || action === 'catalog')) {
      note([...path, 'private'], `without effect: ${rule.may.join(' and ')} is for no repository; leave it out`);
    }
    const status = rule.who.includes('anonymous') ? rule.may.indexOf('status') : -1;
    if (status !== -1) note([...path, 'may', status], config.admin.enabled ? OPEN_CONSOLE : OPEN_METRICS);
    if (rule.who.includes('anonymous') && rule.may.includes('pull')) noteAnonymousRule(config, path, note);
  }
  if (access.audit) {
    note(
      ['access', 'audit'],
      'pulls of public content that no rule allows are let through and logged as access.would_deny. ' +
        'Add the rules that `entrepot access suggest` shows, then remove this option',
    );
  }
  if (listener === undefined) return;
  const mayLogIn =
    access.htpasswd !== undefined || access.rules.some(({ who }) => who.some((name) => name !== 'anonymous'));
  if (mayLogIn && publicUrl.length === 0 && domainSuffix === undefined) {
    note(
      ['access'],
      `clients that reach ${listener.text} from other machines are not told where the token service is, so Docker pulls nothing without a login. ` +
        'Set public_url to the address that they use',
    );
  }
  const isEncrypted =
    (publicUrl.length > 0 && publicUrl.every((url) => url.startsWith('https:'))) ||
    listen.every(({ tls, redirectToHttps }) => tls !== undefined || redirectToHttps);
  // Users and tokens may be stored in the cache directory as well, where this does not look.
  const named = access.rules.some(({ who }) => who.some((name) => name !== 'anonymous'));
  if ((access.htpasswd !== undefined || named) && !isEncrypted) {
    note(
      access.htpasswd === undefined ? ['access'] : ['access', 'htpasswd'],
      `passwords reach ${listener.text} unencrypted: every network on the way can read them. Set listen[].tls, or public_url to the https:// address of a proxy in front`,
    );
  }
}

/** Parts of rules that allow nothing. */
function noteIdleRules({ access, forwardProxy }: Config, note: Note): void {
  if (access === undefined) return;
  for (const [at, { may }] of access.rules.entries()) {
    if (forwardProxy.enabled || !may.includes('proxy')) continue;
    note(
      ['access', 'rules', at, 'may', may.indexOf('proxy')],
      'without effect: the forward proxy is off. Set forward_proxy.enabled to true, or leave proxy out',
    );
  }
  for (const [group, members] of Object.entries(access.groups)) {
    if (members.length > 0 || !access.rules.some(({ who }) => who.includes(`@${group}`))) continue;
    note(['access', 'groups', group], `empty, so a rule for @${group} is for no user. Name its users, or leave it out`);
  }
}

/** An address for a page that is off. */
function noteIdleAdmin({ admin }: Config, note: Note): void {
  if (admin.enabled || admin.listen.length === 0) return;
  note(['admin', 'listen'], 'without effect: admin.enabled is false. Set it to true, or leave listen out');
}

/** An empty list looks like a setting, and is none. */
function noteNoAddress(settings: Tree | undefined, note: Note): void {
  const written = treeAt(settings, ['public_url']);
  if (written?.kind !== 'list' || written.items.length > 0) return;
  note(['public_url'], 'empty, which is as without it. Name the address that clients use, or remove the line');
}

function noteAnonymousRule(config: Config, path: readonly ['access', 'rules', number], note: Note): void {
  const rule = config.access?.rules[path[2]];
  if (rule === undefined) return;
  const matched = remotesOf(config).filter(({ name, path: [kind] }) => {
    const names = kind === 'mirrors' ? [`mirror:${name}`] : [name, ...(config.registries[name]?.aliases ?? [])];
    return rule.on.some((text) => names.some((each) => mayMatch(text, each)));
  });
  // Of a registry with a credential the public part is shown; of these, nothing.
  const closed = matched.filter(
    (remote) => (remote.path[0] === 'mirrors' || remote.tls?.certFile !== undefined) && isKnownTo(remote),
  );
  if (closed.length > 0 && !rule.private) {
    note(
      [...path, 'on'],
      `does not open ${namesOf(closed)}, whose credentials could read what is private. ` +
        'Add private: true to show it to every client, or name users in another rule',
    );
  }
  for (const [at, { name, credentials, methods }] of config.mirrors.entries()) {
    const writing = methods.filter((method) => !['GET', 'HEAD', 'OPTIONS'].includes(method));
    const isOpen = rule.private && matched.some((each) => each.path[0] === 'mirrors' && each.name === name);
    if (!isOpen || credentials === undefined || writing.length === 0) continue;
    note(
      ['mirrors', at, 'methods'],
      `every client can send ${writing.join(', ')} with the credentials for ${name}, and so change what is there (git push uses POST). ` +
        'Allow only GET and HEAD, or give a credential that can only read',
    );
  }
}

/** Whether a pattern of repositories may match one of a registry or mirror route. */
function mayMatch(text: string, name: string): boolean {
  const [first = ''] = text.split('/', 1);
  if (first.startsWith('mirror:') !== name.startsWith('mirror:')) return false;
  return first.startsWith('**') || compileGlob(first)(name);
}

function noteAnyone({ allowAny }: Config, [listener]: readonly OpenListener[], note: Note): void {
  if (listener === undefined || allowAny === false) return;
  note(
    ['allow_any'],
    `every client that reaches ${listener.text} can pull from any public registry through this server. ` +
      'List the registries that clients need under registries, or listen on 127.0.0.1',
  );
}

/** An ACME server asks for the proof of a domain on port 80, without TLS. */
function noteUnproved({ listen, forwardProxy, admin }: Config, note: Note): void {
  const lists: readonly (readonly [Path, Config['forwardProxy']['listen']])[] = [
    [['listen'], listen],
    [['forward_proxy', 'listen'], forwardProxy.enabled ? forwardProxy.listen : []],
    [['admin', 'listen'], admin.enabled ? admin.listen : []],
  ];
  const [first] = lists.flatMap(([path, listeners]) =>
    listeners.flatMap(({ tls }, at) => (tls?.acme === undefined ? [] : [[...path, at, 'tls', 'acme'] as const])),
  );
  const isPlain = ({ address, tls }: Config['listen'][number]) => 'port' in address && tls === undefined;
  if (first === undefined || listen.some(isPlain)) return;
  note(
    first,
    'no listener without tls answers HTTP-01, which the ACME server asks for on port 80 of each domain. ' +
      'Add {address: ":80", redirect_to_https: true} to listen, unless another server sends /.well-known/acme-challenge/ here',
  );
}

function noteForwardProxy(config: Config, listeners: readonly OpenListener[], note: Note): void {
  const { forwardProxy } = config;
  const { enabled, anonymous, user, allowedHosts = [], presets, mitm } = forwardProxy;
  const isConfigured = mitm.enabled || user !== undefined || allowedHosts.length > 0 || presets !== undefined;
  if (!enabled && isConfigured) {
    note(['forward_proxy'], 'the proxy is off until forward_proxy.enabled is true; its other options have no effect');
  }
  if (!enabled) return;
  const open = listeners.find(({ forward }) => forward);
  if (config.access !== undefined) {
    if (anonymous) note(['forward_proxy', 'anonymous'], 'without effect beside access: a rule that may proxy decides');
  } else if (open !== undefined && anonymous && user === undefined) {
    note(
      ['forward_proxy', 'anonymous'],
      `every client that reaches ${open.text} can connect through this server to the allowed hosts. ` +
        'Set forward_proxy.user and password, or listen on 127.0.0.1',
    );
  }
  for (const [at, entry] of allowedHosts.entries()) {
    if (!matchesEveryHost(entry)) continue;
    note(
      ['forward_proxy', 'allowed_hosts', at],
      `${JSON.stringify(entry)} matches every host, so clients can reach any site through this server. ` +
        'Name the hosts that they need, such as ghcr.io or \\.example\\.com$',
    );
  }
}

/** Two names that no pattern for real hosts has in common. */
function matchesEveryHost(entry: string): boolean {
  if (!/[\\^$*+?()[\]{}|]/.test(entry)) return false;
  const expression = new RegExp(entry, 'i');
  return ['a.test', 'zz-9.invalid'].every((host) => expression.test(host));
}

function noteUnencrypted(config: Config, note: Note): void {
  for (const remote of remotesOf(config)) {
    const credential = credentialOf(remote);
    if (credential === undefined || !isClear(remote.url)) continue;
    note(
      [...remote.path, ...credential],
      `the credentials for ${remote.name} go to ${remote.url} unencrypted: every network on the way can read them. Use https://`,
    );
  }
}

function notePlainRealms({ registries }: Config, note: Note): void {
  for (const [name, { upstreams = [] }] of Object.entries(registries)) {
    for (const [at, { tokenRealms }] of upstreams.entries()) {
      for (const [index, realm] of tokenRealms.entries()) {
        if (!realm.startsWith('http://') || !isClear(realm)) continue;
        note(
          ['registries', name, 'upstreams', at, 'token_realms', index],
          `the credentials for ${name} may go to ${realm} unencrypted: every network on the way can read them. Let the registry name an https realm`,
        );
      }
    }
  }
}

function noteUnchecked(config: Config, note: Note): void {
  const remedy = 'Name the certificate authority in ca_file instead';
  if (config.transport.insecureSkipVerify) {
    note(
      ['transport', 'insecure_skip_verify'],
      `no certificate of any upstream is checked, so another server can answer in its place. ${remedy}`,
    );
  }
  for (const { name, path, tls } of remotesOf(config)) {
    if (tls?.insecureSkipVerify !== true) continue;
    note(
      [...path, 'tls', 'insecure_skip_verify'],
      `the certificate for ${name} is not checked, so another server can answer in its place. ${remedy}`,
    );
  }
}

/** A mirror route comes before the short form of a registry's path. */
function noteShadowed({ mirrors, registries }: Config, note: Note): void {
  for (const [at, { prefix }] of mirrors.entries()) {
    const first = prefix.split('/')[1] ?? '';
    const isShadow = prefix === `/${first}` || prefix.startsWith(`/${first}/v2`);
    const owner = Object.entries(registries).find(([name, { aliases }]) => name === first || aliases.includes(first));
    if (owner === undefined || !isShadow) continue;
    note(
      ['mirrors', at, 'prefix'],
      `/${first}/v2/ leads to this route, and not to the registry ${owner[0]}, which clients reach as /v2/${owner[0]}/ only. Use another prefix`,
    );
  }
}

/** Limits of a limit that is not set. */
function noteIdleLimits({ limits }: Config, settings: Tree | undefined, note: Note): void {
  const noSlots = limits.maxInflight === 0 && limits.perClient.maxInflight === 0;
  const idle: readonly (readonly [path: Path, isIdle: boolean, needs: string])[] = [
    [['limits', 'max_inflight_wait'], noSlots, 'limits.max_inflight or limits.per_client.max_inflight'],
    [['limits', 'max_waiting'], noSlots, 'limits.max_inflight or limits.per_client.max_inflight'],
    [['limits', 'per_client', 'burst'], limits.perClient.requestsPerSecond === 0, 'requests_per_second beside it'],
  ];
  for (const [path, isIdle, needs] of idle) {
    const found = treeAt(settings, path);
    if (isIdle && found !== undefined && !isNull(found)) note(path, `it has no effect without a limit. Set ${needs}`);
  }
}

/** Headers that this server sets itself for each request, or that belong to one connection (RFC 9110 §7.6.1). */
const OWN_HEADER =
  /^(?:host|accept|accept-encoding|range|if-.*|content-.*|connection|keep-alive|proxy-.*|te|trailer|transfer-encoding|upgrade|expect)$/i;

function noteOwnHeaders(config: Config, note: Note): void {
  for (const { path, headers } of remotesOf(config)) {
    for (const name of Object.keys(headers)) {
      if (OWN_HEADER.test(name))
        note([...path, 'headers', name], 'it has no effect: this server sets it for each request. Remove it');
    }
  }
}

/** Texts that are probably not what the operator means to send. A secret is not quoted. */
function noteOddTexts(settings: Tree | undefined, note: Note): void {
  for (const { path, value } of scalarsOf(settings)) {
    if (typeof value !== 'string') continue;
    if (isMarked(configSchema, path, 'secret')) {
      const oddity = oddityOf(value);
      const remedy = isVariable(value) ? 'Write {env: NAME}' : 'Write the secret on one line';
      if (oddity !== undefined) note(path, `this secret ${oddity}. ${remedy}, or leave it if it is meant so`);
    } else if (isVariable(value)) {
      const what = `${JSON.stringify(value)} looks like a variable, and is taken as it stands`;
      note(path, `${what}. Set the option by a variable of its own, ENTREPOT_…, or leave it if it is meant so`);
    }
  }
}

/** Looks at what is set, which is little; to go through all options would cost more than the rest of a reload. */
function noteWithoutEffect(settings: Tree | undefined, note: Note): void {
  for (const { path, value } of scalarsOf(settings)) {
    const [reason] = schemasAt(configSchema, path).map((schema: z.ZodType) => markOf(schema)?.withoutEffect);
    if (reason !== undefined && value !== null) note(path, `accepted without effect: ${reason}`);
  }
}

function namesOf(remotes: readonly Remote[]): string {
  const names = [...new Set(remotes.map(({ name }) => name))];
  const more = names.length - MAX_NAMES;
  return names.slice(0, MAX_NAMES).join(', ') + (more > 0 ? ` and ${more} more` : '');
}
