import { isList, isMap, isOwnPath } from '../../config/index.ts';
import type { Draft, Found, Steps } from '../draft.ts';
import { Fields } from '../fields.ts';
import { readUrl, registryAt, registryOfTokens } from '../known.ts';
import { noteNewCache, portAddress, putDefaultRegistry, putDuration, putListen, putPublicUrl } from '../options.ts';
import { treeSource } from './source.ts';

/** Rewriting Mirror (rmirror): `config.json`. */
export const rewritingMirror = treeSource(
  { program: 'Rewriting Mirror', files: 'config.json with routes' },
  ({ tree }) => {
    const routes = tree.entries.get('routes');
    const isRoutes = isList(routes) && routes.items.some((route) => isMap(route) && route.entries.has('public_prefix'));
    return isRoutes || tree.entries.has('public_base_url') || tree.entries.has('access_log');
  },
  ({ tree }, draft) => {
    const root = new Fields(tree, draft);
    const address = root.text('listen');
    const tls = root.map('tls');
    const files = { cert: tls?.text('cert_file'), key: tls?.text('key_file') };
    if (address !== undefined) putListen(draft, address, files);
    else if (tls !== undefined && (files.cert !== undefined || files.key !== undefined)) {
      const usual = portAddress({ value: 5000, origin: tls.origin }, '127.0.0.1');
      putListen(draft, usual, { ...files, defaultOf: draft.program });
    }
    putPublicUrl(draft, root.text('public_base_url'));
    draft.put(['log', 'access'], root.flag('access_log'));
    convertTimeouts(root.map('timeouts'), draft);
    convertTransport(root.map('transport'), draft);
    const limits = root.map('limits');
    draft.put(['limits', 'max_inflight'], limits?.number('max_inflight'));
    putDuration(draft, ['limits', 'max_inflight_wait'], limits?.duration('max_inflight_wait'));
    const names = new Set<string>();
    for (const route of root.maps('routes')) convertRoute(route, draft, names);
    root.loseRest();
    noteNewCache(draft);
  },
);

const EVERY_WAIT = '0 means no limit there; here every wait has a deadline, and the default holds';

function convertTimeouts(timeouts: Fields | undefined, draft: Draft): void {
  if (timeouts === undefined) return;
  for (const key of ['read_header_timeout', 'idle_timeout']) {
    putDuration(draft, ['timeouts', key], timeouts.duration(key), EVERY_WAIT);
  }
  for (const key of ['read_timeout', 'write_timeout', 'shutdown_timeout']) {
    putDuration(draft, ['timeouts', key], timeouts.duration(key));
  }
  const header = timeouts.number('max_header_bytes');
  // In Go, 0 is the default.
  if (header?.value !== 0) draft.put(['timeouts', 'max_header_bytes'], header);
}

function convertTransport(transport: Fields | undefined, draft: Draft): void {
  if (transport === undefined) return;
  const deadlines = ['dial_timeout', 'tls_handshake_timeout', 'response_header_timeout', 'idle_conn_timeout'];
  for (const key of deadlines) putDuration(draft, ['transport', key], transport.duration(key), EVERY_WAIT);
  putDuration(draft, ['transport', 'keepalive'], transport.duration('keepalive'));
  for (const key of ['first_fragment_len', 'max_idle_conns', 'max_idle_conns_per_host', 'max_conns_per_host']) {
    draft.put(['transport', key], transport.number(key));
  }
  transport.lose(
    ['expect_continue_timeout'],
    'has no meaning here: request bodies are sent without waiting for 100 Continue',
  );
  transport.lose(['force_http2'], 'has no meaning here: upstreams are reached by HTTP/1.1');
  transport.lose(['disable_compression'], 'has no meaning here: content is always requested and served as it is');
}

function convertRoute(route: Fields, draft: Draft, names: Set<string>): void {
  const named = route.text('name');
  const prefix = route.text('public_prefix');
  const upstream = route.text('upstream');
  const keepsHost = route.flag('preserve_host');
  if (prefix === undefined || upstream === undefined) {
    draft.lose(route.origin, 'the route needs public_prefix and upstream');
    return;
  }
  const url = readUrl(upstream.value);
  if (url === undefined) {
    draft.problem(upstream.origin, 'found another text, expected a host or an http:// or https:// address');
    return;
  }
  const path = prefix.value.replace(/\/+$/, '');
  if (path === '' || path === '/v2') return convertRegistryRoute({ prefix, upstream }, draft);
  const tokensOf = registryOfTokens(url.host);
  if (isOwnPath(path.split('/')[1] ?? '')) {
    draft.lose(
      prefix.origin,
      tokensOf === undefined
        ? `this server answers ${JSON.stringify(path)} itself; give the route another prefix under mirrors`
        : `not needed: this server fetches the tokens of ${tokensOf} itself`,
    );
    return;
  }
  const steps: Steps = ['mirrors', { item: path }];
  const name = uniqueName(named?.value ?? path, names);
  draft.assume([...steps, 'name'], name, { origin: named?.origin ?? prefix.origin });
  draft.assume([...steps, 'prefix'], path, { origin: prefix.origin });
  draft.assume([...steps, 'upstream'], upstream.value, { origin: upstream.origin });
  if (keepsHost?.value === true) draft.put([...steps, 'preserve_host'], keepsHost);
  const registry = registryAt(url.host);
  if (registry.isKnown) {
    draft.note(
      `the route is kept for programs that use the API; clients that pull images reach ${registry.name} at /v2/ without it`,
      prefix.origin,
    );
  }
}

/** A route that has the registry API in it: clients pull through it, so it is the default registry. */
function convertRegistryRoute(
  { prefix, upstream }: { readonly prefix: Found<string>; readonly upstream: Found<string> },
  draft: Draft,
): void {
  putDefaultRegistry(draft, upstream);
  draft.note(
    `the route ${JSON.stringify(prefix.value)} has the registry API in it and becomes the default registry: tokens, redirects and library/ need no routes of their own`,
    prefix.origin,
  );
}

/** A name for log and metrics, which takes letters, digits and `._:/-`. */
function uniqueName(text: string, names: Set<string>): string {
  const plain =
    text
      .replace(/[^A-Za-z0-9._:/-]+/g, '-')
      .replace(/^[/-]+|-+$/g, '')
      .slice(0, 90) || 'route';
  let name = plain;
  for (let count = 2; names.has(name); count++) name = `${plain}-${count}`;
  names.add(name);
  return name;
}
