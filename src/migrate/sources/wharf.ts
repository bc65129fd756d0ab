import { isList, isMap } from '../../config/index.ts';
import { type Draft, type Found, NO_SETTINGS } from '../draft.ts';
import { Fields } from '../fields.ts';
import { readUrl, registryAt, registryOfTokens } from '../known.ts';
import { expectUrl, noteNewCache, portAddress, putListen, putLogLevel, putPublicUrl, putUpstream } from '../options.ts';
import { programSource, treeSource } from './source.ts';
import { readFlags, treeOfVariables, wordFound } from './variables.ts';

/** wharf, the successor of docxy: `config/default.toml`. */
export const wharf = treeSource(
  { program: 'wharf', files: 'TOML with [[registry.upstreams]]' },
  ({ syntax, tree }) => {
    const registry = tree.entries.get('registry');
    const server = tree.entries.get('server');
    const hasRegistry =
      isMap(registry) && (registry.entries.has('upstream_registry') || isList(registry.entries.get('upstreams')));
    return syntax === 'TOML' && (hasRegistry || (isMap(server) && server.entries.has('behind_proxy')));
  },
  ({ tree }, draft) => {
    const root = new Fields(tree, draft);
    convertServer(root, draft);
    const registry = root.map('registry');
    if (registry !== undefined) convertRegistry(registry, draft);
    root.loseRest();
    noteNewCache(draft);
  },
);

/** docxy: its variables. */
export const docxy = programSource(
  { program: 'docxy', files: 'CERT_PATH, KEY_PATH, PORT and DOCXY_… variables of docxy' },
  ({ names, variables }) =>
    names.some((name) => ['docxy', 'wharf', 'docxy-registry'].includes(name)) ||
    (variables.has('CERT_PATH') && variables.has('KEY_PATH')) ||
    [...variables.keys()].some((name) => /^(?:DOCXY_|WHARF_CONFIG$)/.test(name)),
  (document, draft) => {
    const { variables, args, source } = document;
    const read = (name: string) => wordFound(name, variables.get(`DOCXY_${name}`) ?? variables.get(name));
    const port = read('PORT');
    const cert = read('CERT_PATH');
    const key = read('KEY_PATH');
    const origin = { source, key: draft.program };
    if ([...variables.keys()].some((name) => /^DOCXY_(?:HTTPS?_|BEHIND_)/.test(name))) {
      const { tree, naming } = treeOfVariables(document, { prefix: 'DOCXY_', isSplit: () => false });
      const server = new Fields(tree, draft, { naming });
      convertListeners(server, draft, { cert: server.text('cert_path'), key: server.text('key_path') });
    } else if (port !== undefined) {
      if (!/^\d{1,5}$/.test(port.value)) draft.problem(port.origin, 'found another text, expected a port such as 8080');
      else putListen(draft, { value: `:${port.value}`, origin: port.origin });
      for (const found of [cert, key]) {
        if (found !== undefined)
          draft.lose(found.origin, 'docxy with PORT serves plain HTTP, and reads no certificate');
      }
    } else {
      putListen(draft, { value: ':443', origin: cert?.origin ?? origin }, { cert, key });
      if (cert !== undefined && key !== undefined)
        putListen(draft, { value: ':80', origin }, { redirect: 'docxy sends HTTP to HTTPS' });
    }
    const { flags } = readFlags(args);
    const config = wordFound('--config', flags.get('config') ?? flags.get('c')) ?? read('WHARF_CONFIG');
    if (config !== undefined) draft.note(`import ${JSON.stringify(config.value)} too: wharf reads it`, config.origin);
    putLogLevel(draft, wordFound('--log-level', flags.get('log-level')) ?? read('RUST_LOG'));
    for (const [name, word] of variables) {
      if (/^(?:DOCXY_.*|WHARF_CONFIG|(?:CERT|KEY)_PATH|PORT|RUST_LOG)$/.test(name)) continue;
      draft.lose({ source: word.source, key: name }, 'docxy has no such variable');
    }
    draft.assume(['registries', 'docker.io'], NO_SETTINGS, { origin, reason: 'docxy serves Docker Hub' });
    noteNewCache(draft);
  },
);

function convertServer(root: Fields, draft: Draft): void {
  const server = root.map('server');
  const tls = root.map('tls');
  const files = { cert: tls?.text('cert_path'), key: tls?.text('key_path') };
  if (server === undefined) return;
  putPublicUrl(draft, server.text('public_base_url'));
  convertListeners(server, draft, files);
}

/** HTTP, HTTPS, or plain HTTP behind a server that terminates TLS. */
function convertListeners(
  server: Fields,
  draft: Draft,
  files: { readonly cert: Found<string> | undefined; readonly key: Found<string> | undefined },
): void {
  const origin = server.origin;
  const http = server.number('http_port') ?? { value: 80, origin };
  const https = server.number('https_port') ?? { value: 443, origin };
  const httpOn = server.flag('http_enabled')?.value ?? true;
  const httpsOn = server.flag('https_enabled')?.value ?? true;
  const behind = server.flag('behind_proxy');
  if (behind?.value === true) {
    putListen(draft, portAddress(http));
    draft.note(
      'to learn the address and the scheme of clients from your reverse proxy, list its address under trusted_proxies',
      behind.origin,
    );
    for (const file of [files.cert, files.key])
      if (file !== undefined) draft.lose(file.origin, 'not used behind a proxy');
    return;
  }
  if (httpsOn) putListen(draft, portAddress(https), files);
  else
    for (const file of [files.cert, files.key])
      if (file !== undefined) draft.lose(file.origin, 'not used while https_enabled is false');
  const isServed = httpsOn && files.cert !== undefined && files.key !== undefined;
  if (httpOn) putListen(draft, portAddress(http), isServed ? { redirect: 'HTTP is sent to HTTPS' } : {});
}

function convertRegistry(registry: Fields, draft: Draft): void {
  const upstreams = registry.maps('upstreams');
  const chosen = registry.text('default');
  if (upstreams.length === 0) {
    convertUpstream(registry, draft, { isDefault: true });
    return;
  }
  // Next to a list, wharf does not use the single registry.
  for (const key of ['upstream_registry', 'auth_realm', 'auth_service', 'auto_library_prefix', 'public_base_url'])
    registry.take(key);
  const names = upstreams.map((each) => each.text('name')?.value);
  const first = names.indexOf(chosen?.value);
  for (const [at, each] of upstreams.entries()) convertUpstream(each, draft, { isDefault: at === Math.max(first, 0) });
}

function convertUpstream(each: Fields, draft: Draft, { isDefault }: { readonly isDefault: boolean }): void {
  const url = each.text('upstream_registry');
  const realm = each.text('auth_realm');
  const hosts = each.texts('hosts');
  const library = each.flag('auto_library_prefix');
  // The challenge of the registry names the service.
  each.take('auth_service');
  each.lose(['public_base_url'], 'addresses are made of the host that the client used, or of public_url');
  if (url === undefined) return;
  const read = expectUrl(draft, url);
  if (read === undefined) return;
  const place = registryAt(read.host);
  const base = ['registries', place.name];
  const realmHost = realm === undefined ? undefined : readUrl(realm.value)?.host;
  const isNeeded =
    realmHost !== undefined &&
    realmHost !== read.host &&
    registryOfTokens(realmHost) !== place.name &&
    !isBelow(realmHost, read.host);
  if (place.isKnown && read.path === '' && !isNeeded) draft.assume(base, NO_SETTINGS, { origin: url.origin });
  else {
    const steps = putUpstream(draft, place.name, { url });
    if (steps !== undefined && isNeeded && realm !== undefined)
      draft.assume([...steps, 'token_realms', { item: realmHost }], realmHost, { origin: realm.origin });
  }
  for (const { value, origin } of hosts) draft.assume([...base, 'aliases', { item: value }], value, { origin });
  if (library?.value === true && place.name !== 'docker.io') draft.put([...base, 'library'], library);
  if (isDefault) draft.assume(['default_registry'], place.name, { origin: url.origin });
}

/** Whether two hosts are in one domain of two labels: a token service there needs no word of its own. */
function isBelow(one: string, other: string): boolean {
  const domain = (host: string) => host.split('.').slice(-2).join('.');
  return domain(one) === domain(other);
}
