import { isList, isMap } from '../../config/index.ts';
import type { Draft, Found } from '../draft.ts';
import { NO_SETTINGS } from '../draft.ts';
import { Fields } from '../fields.ts';
import { registryAt } from '../known.ts';
import { putUpstream } from '../options.ts';
import { isPlain } from './client-mirrors.ts';
import { treeSource } from './source.ts';

/** podman, buildah, skopeo and CRI-O: `registries.conf`, both versions. */
export const containersRegistries = treeSource(
  { program: 'podman and CRI-O', files: 'registries.conf of podman, buildah, skopeo and CRI-O' },
  ({ syntax, tree }) => {
    if (syntax !== 'TOML') return false;
    const old = tree.entries.get('registries');
    return (
      tree.entries.has('unqualified-search-registries') ||
      tree.entries.has('short-name-mode') ||
      isList(tree.entries.get('registry')) ||
      (isMap(old) && ['search', 'insecure', 'block'].some((key) => old.entries.has(key)))
    );
  },
  ({ tree }, draft) => {
    const root = new Fields(tree, draft);
    convertSearch(root.texts('unqualified-search-registries'), draft);
    for (const registry of root.maps('registry')) convertRegistry(registry, draft);
    root.lose(['aliases', 'short-name-mode'], 'short names are read by the client, and stay there');
    root.lose(['credential-helpers'], 'a helper belongs to an upstream: credentials: {helper: NAME}');
    root.lose(['additional-layer-store-auth-helper'], 'there is no layer store');
    const old = root.map('registries');
    convertSearch(old?.map('search')?.texts('registries') ?? [], draft);
    for (const found of old?.map('insecure')?.texts('registries') ?? [])
      putInsecure(draft, registryAt(found.value).name, { url: found });
    for (const found of old?.map('block')?.texts('registries') ?? []) loseBlocked(found, draft);
    root.loseRest();
  },
);

function convertSearch([first, ...others]: readonly Found<string>[], draft: Draft): void {
  if (first === undefined) return;
  const place = registryAt(first.value);
  draft.assume(['registries', place.name], NO_SETTINGS, { origin: first.origin });
  draft.assume(['default_registry'], place.name, { origin: first.origin });
  for (const { origin } of others)
    draft.lose(origin, 'one registry is meant by names without one, the first; clients can name this one in the path');
}

function convertRegistry(registry: Fields, draft: Draft): void {
  const location = registry.text('location');
  const prefix = registry.text('prefix') ?? location;
  const insecure = registry.flag('insecure')?.value === true;
  const digestsOnly = registry.flag('mirror-by-digest-only')?.value === true;
  const mirrors = registry.maps('mirror');
  const blocked = registry.flag('blocked');
  if (prefix === undefined) {
    draft.lose(registry.origin, 'it has neither prefix nor location, so it is no registry');
    return;
  }
  const isWhole = /^[^/*@]+$/.test(prefix.value);
  if (blocked?.value === true) {
    loseBlocked({ value: prefix.value, origin: blocked.origin }, draft);
  } else if (!isWhole) {
    draft.lose(
      prefix.origin,
      'a registry as a whole has upstreams here, not a part of its names. Clients can keep this part of the file',
    );
  }
  if (blocked?.value === true || !isWhole) {
    for (const mirror of mirrors) {
      for (const key of mirror.keys) mirror.take(key);
    }
    return;
  }
  const { name } = registryAt(prefix.value);
  for (const mirror of mirrors) convertMirror(mirror, { name, digestsOnly, draft });
  const own = location ?? prefix;
  if (mirrors.length > 0 || insecure || own.value !== prefix.value) {
    putInsecure(draft, name, { url: own, insecure, last: true });
  } else draft.assume(['registries', name], NO_SETTINGS, { origin: prefix.origin });
}

function convertMirror(
  mirror: Fields,
  { name, digestsOnly, draft }: { readonly name: string; readonly digestsOnly: boolean; readonly draft: Draft },
): void {
  const location = mirror.text('location');
  const insecure = mirror.flag('insecure')?.value === true;
  const from = mirror.text('pull-from-mirror');
  if (location === undefined) return;
  const steps = putInsecure(draft, name, { url: location, insecure });
  if (steps === undefined) return;
  if (digestsOnly || from?.value === 'digest-only') {
    const origin = from?.origin ?? location.origin;
    draft.assume([...steps, 'capabilities', { item: 'pull' }], 'pull', { origin, reason: 'for digests only' });
  } else if (from !== undefined && from.value !== 'all') {
    draft.lose(from.origin, 'an upstream that resolves tags also serves digests');
  }
}

interface Location {
  /** `host[:port][/path]` */
  readonly url: Found<string>;
  readonly insecure?: boolean;
  readonly last?: true;
}

/** podman tries https without checks, then http. Here one of the two has to be written. */
function putInsecure(draft: Draft, name: string, { url, insecure = true, last }: Location) {
  const { value, origin } = url;
  const [host = '', ...path] = value.split('/');
  const place = registryAt(host);
  const isHttp = insecure && /:\d+$/.test(host) && !host.endsWith(':443');
  const base = place.isKnown ? place.url : `${isHttp ? 'http' : 'https'}://${host}`;
  const prefix = path.join('/');
  const steps = putUpstream(draft, name, {
    url: { value: base, origin },
    ...(prefix === '' ? {} : { prefix }),
    ...(last === true ? { last } : {}),
  });
  if (!insecure || steps === undefined) return steps;
  if (!isPlain(steps)) draft.assume([...steps, 'tls', 'insecure_skip_verify'], true, { origin });
  else draft.note(`insecure means https without checks, or http; ${host} is carried over with http://`, origin);
  return steps;
}

function loseBlocked({ value, origin }: Found<string>, draft: Draft): void {
  const isKnown = registryAt(value.split('/')[0] ?? '').isKnown;
  draft.lose(
    origin,
    isKnown
      ? 'a single known registry cannot be refused; known_registries: false serves only the registries that are listed'
      : 'only known and listed registries are served, so it is refused without a setting',
  );
}
