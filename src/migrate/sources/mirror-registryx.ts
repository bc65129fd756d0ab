import { isList, isMap } from '../../config/index.ts';
import { type Draft, NO_SETTINGS } from '../draft.ts';
import { Fields } from '../fields.ts';
import { registryAt } from '../known.ts';
import { putUpstream } from '../options.ts';
import { treeSource } from './source.ts';

/** Mirror-RegistryX: `mirrors.yml`. */
export const mirrorRegistryX = treeSource(
  { program: 'Mirror-RegistryX', files: 'mirrors.yml' },
  ({ syntax, tree }) => {
    const mirrors = tree.entries.get('mirrors');
    const hasSource = isList(mirrors) && mirrors.items.some((item) => isMap(item) && item.entries.has('source'));
    return syntax !== 'TOML' && (hasSource || tree.entries.has('mirror_groups'));
  },
  ({ tree }, draft) => {
    const root = new Fields(tree, draft);
    for (const registry of root.maps('registries')) convertRegistry(registry, draft);
    for (const mirror of root.maps('mirrors')) convertMirror(mirror, draft);
    root.lose(
      ['mirror_groups'],
      'images have no groups; names and patterns stand for them (cache.pin, entrepot purge)',
    );
    root.lose(
      ['settings'],
      'nothing is copied on a schedule yet: tags are revalidated when they are pulled, after cache.tags.fresh_for',
    );
    root.loseRest();
  },
);

function convertRegistry(registry: Fields, draft: Draft): void {
  const id = registry.text('id');
  const url = registry.text('url');
  for (const key of ['name', 'copy_host']) registry.take(key);
  if (id === undefined || url === undefined) draft.lose(registry.origin, 'a registry needs id and url');
  else putUpstream(draft, id.value.toLowerCase(), { url });
}

/** A copied image becomes a pinned one: it is fetched at its first pull, and never evicted. */
function convertMirror(mirror: Fields, draft: Draft): void {
  const source = mirror.text('source');
  for (const key of ['registry', 'group', 'project', 'environment', 'namespace']) mirror.take(key);
  if (source === undefined) {
    draft.lose(mirror.origin, 'a mirror needs its source');
    return;
  }
  const first = source.value.split('/')[0] ?? '';
  const { origin } = source;
  if (/[.:]/.test(first)) {
    const place = registryAt(first);
    if (place.isKnown) draft.assume(['registries', place.name], NO_SETTINGS, { origin });
    else putUpstream(draft, place.name, { url: { value: place.url, origin } });
  }
  draft.assume(['cache', 'pin', { item: source.value }], source.value, {
    origin,
    reason: 'a copy that is to stay; it is fetched at its first pull',
  });
  mirror.lose(['target'], 'an image keeps its own name here: HOST/docker.io/library/busybox');
}
