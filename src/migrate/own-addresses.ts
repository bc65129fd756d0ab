import { type ConfigProblem, formatKey, isList, isMap, type Path, type Tree } from '../config/index.ts';
import { readUrl } from './known.ts';

const USUAL = '127.0.0.1:5000';

/**
 * Upstreams at an address where the new server would listen: it would ask itself. A client's configuration names the mirror
 * that this server replaces, often at the same address.
 */
export function ownAddresses(settings: Extract<Tree, { kind: 'map' }>): readonly ConfigProblem[] {
  const ports = new Set(listenAddresses(settings.entries.get('listen')).map((text) => /:(\d+)$/.exec(text)?.[1] ?? ''));
  const isOwn = (text: string): boolean => {
    const url = readUrl(text);
    if (url === undefined) return false;
    const { hostname, port, protocol } = new URL(url.url);
    const number = port === '' ? (protocol === 'http:' ? '80' : '443') : port;
    return /^(?:localhost|127\.\d+\.\d+\.\d+|\[::1\]|0\.0\.0\.0)$/.test(hostname) && ports.has(number);
  };
  return addressesOf(settings).flatMap(({ path, tree }) =>
    tree.kind === 'scalar' && isOwn(String(tree.value))
      ? [
          {
            source: tree.source,
            key: formatKey(path),
            message:
              'this server listens at that address itself, and would ask itself; give one of the two another address',
          },
        ]
      : [],
  );
}

function listenAddresses(listen: Tree | undefined): readonly string[] {
  if (listen === undefined) return [USUAL];
  if (isList(listen))
    return listen.items.flatMap((item) => listenAddresses(isMap(item) ? item.entries.get('address') : item));
  return listen.kind === 'scalar' ? [String(listen.value)] : [];
}

/** The URL of each upstream and of each mirror route. */
function addressesOf({
  entries,
}: Extract<Tree, { kind: 'map' }>): readonly { readonly path: Path; readonly tree: Tree }[] {
  const registries = entries.get('registries');
  const upstreams = (isMap(registries) ? [...registries.entries] : []).flatMap(([name, registry]) => {
    const list = isMap(registry) ? registry.entries.get('upstreams') : undefined;
    return itemsOf(list, ['registries', name, 'upstreams'], 'url');
  });
  return [...upstreams, ...itemsOf(entries.get('mirrors'), ['mirrors'], 'upstream')];
}

function itemsOf(
  list: Tree | undefined,
  path: Path,
  key: string,
): readonly { readonly path: Path; readonly tree: Tree }[] {
  if (!isList(list)) return [];
  return list.items.flatMap((item, at) => {
    const tree = isMap(item) ? item.entries.get(key) : undefined;
    return tree === undefined ? [] : [{ path: [...path, at, key], tree }];
  });
}
