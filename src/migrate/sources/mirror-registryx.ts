import { isList, isMap } from '../../config/index.ts';
import { type Draft, type Found, NO_SETTINGS, type Steps } from '../draft.ts';
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
    const registries = new Set(root.maps('registries').flatMap((registry) => convertRegistry(registry, draft) ?? []));
    const every = scheduleOf(root.map('settings'), draft);
    const copied = root.maps('mirrors').filter((mirror) => convertMirror(mirror, draft, { registries, every }));
    if (every !== undefined && copied.length === 0) {
      draft.lose(every.origin, 'no image of the file names its registry and its target, so nothing is copied');
    }
    root.lose(
      ['mirror_groups'],
      'images have no groups; names and patterns stand for them (cache.pin, entrepot purge)',
    );
    root.loseRest();
  },
);

/** @returns its name here */
function convertRegistry(registry: Fields, draft: Draft): string | undefined {
  const id = registry.text('id');
  const url = registry.text('url');
  for (const key of ['name', 'copy_host']) registry.take(key);
  if (id === undefined || url === undefined) {
    draft.lose(registry.origin, 'a registry needs id and url');
    return undefined;
  }
  const name = id.value.toLowerCase();
  putUpstream(draft, name, { url });
  return name;
}

/** The schedule that all images are copied by; undefined where the file has none that can be carried over. */
function scheduleOf(settings: Fields | undefined, draft: Draft): Found<string> | undefined {
  if (settings === undefined) return undefined;
  const minutes = settings.number('check_interval_minutes');
  settings.lose(
    ['sync_concurrency', 'sync_retry_count'],
    'four images are copied at once, and a failure that may pass is tried three times more',
  );
  settings.lose(['registry_url'], 'each image names where it goes');
  settings.lose(['database_url'], 'what is recorded is in cache.dir');
  if (minutes === undefined) return undefined;
  if (Number.isInteger(minutes.value) && minutes.value >= 1 && minutes.value <= MAX_MINUTES) {
    return { value: `every ${minutes.value}m`, origin: minutes.origin };
  }
  draft.lose(minutes.origin, 'found no interval from a minute to a year; write copy: with a schedule');
  return undefined;
}

const MAX_MINUTES = 366 * 24 * 60;

/** The schedule, and what tells it from others. */
const COPY: Steps = ['copy', { item: 'mirrors' }];

/** A copied image becomes a pinned one, and a copy by a schedule where the file has its registry and an interval. @returns whether it is copied */
function convertMirror(
  mirror: Fields,
  draft: Draft,
  { registries, every }: { readonly registries: ReadonlySet<string>; readonly every: Found<string> | undefined },
): boolean {
  const source = mirror.text('source');
  const registry = mirror.text('registry');
  const target = mirror.text('target');
  for (const key of ['group', 'project', 'environment', 'namespace']) mirror.take(key);
  if (source === undefined) {
    draft.lose(mirror.origin, 'a mirror needs its source');
    return false;
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
  if (target === undefined) return false;
  const name = registry?.value.toLowerCase();
  // The host is that of the registry as its users reach it, and not as the program does.
  const [, path] = /^[^/]*[.:][^/]*\/(.+)$/.exec(target.value) ?? [];
  if (every === undefined || name === undefined || !registries.has(name) || path === undefined) {
    draft.lose(target.origin, 'an image keeps its own name here: HOST/docker.io/library/busybox');
    return false;
  }
  draft.assume([...COPY, 'name'], 'mirrors', { origin: every.origin, reason: 'the name of the schedule' });
  const image: Steps = [...COPY, 'images', { item: `${source.value} ${target.value}` }];
  draft.assume([...image, 'from'], source.value, { origin });
  draft.assume([...image, 'to'], `${name}/${path}`, { origin: target.origin });
  draft.assume([...COPY, 'schedule'], every.value, { origin: every.origin });
  draft.assume(['registries', name, 'push', { item: '**' }], '**', {
    origin: target.origin,
    reason: 'what is copied there is pushed',
  });
  return true;
}
