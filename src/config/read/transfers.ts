import { formatKey } from '../problems.ts';
import type { Config } from '../schema/index.ts';
import { isNull, type Path, type Tree, treeAt } from '../tree.ts';

type Note = (path: Path, message: string) => void;

/** A number and where it can be set. */
interface Setting {
  readonly path: Path;
  readonly value: number;
}

/** What holds for the blobs of one upstream, or of all that say nothing themselves. */
interface Place {
  readonly connections: Setting;
  readonly minSegment: Setting;
  /** `max_conns_per_host`; 0 is no limit. */
  readonly most: Setting;
}

/** Settings of large blobs that have no effect, or less than they say. Pure. */
export function noteTransfers(config: Config, settings: Tree | undefined, note: Note): void {
  const noted = new Set<string>();
  const once: Note = (path, message) => {
    if (noted.has(formatKey(path))) return;
    noted.add(formatKey(path));
    note(path, message);
  };
  const isWritten = ({ path }: Setting): boolean => {
    const found = treeAt(settings, path);
    return found !== undefined && !isNull(found);
  };
  notePartials(config, once);
  const places = placesOf(config);
  // An upstream may split its blobs where all others do not, by what is said for all of them.
  const heeded = new Set(
    places.filter(({ connections }) => connections.value > 1).map(({ minSegment }) => formatKey(minSegment.path)),
  );
  for (const place of places) {
    if (config.cache === 'off') {
      for (const setting of [place.connections, place.minSegment].filter(isWritten)) {
        once(
          setting.path,
          'without effect: with cache: off a blob comes over one connection. Remove it, or set cache.dir',
        );
      }
      continue;
    }
    if (isWritten(place.connections)) noteFew(place, once);
    if (place.connections.value === 1 && heeded.has(formatKey(place.minSegment.path))) continue;
    if (isWritten(place.minSegment)) noteLarge(place, config.cache.maxSize, once);
  }
}

/** Bytes below which what has come of a blob is not kept; `cache/transfer/partial/keeping.ts` has the same. */
const LEAST_KEPT = 8 * 1024 * 1024;

/** Room for partial content that cannot be used. */
function notePartials({ cache }: Config, note: Note): void {
  if (cache === 'off' || cache.partialSize === undefined || cache.partialSize === 0) return;
  const path = ['cache', 'partial_size'];
  if (cache.partialSize < LEAST_KEPT) {
    note(path, 'keeps nothing, as partial content has 8 MiB at least. Set it to a few GB, or to 0 to turn it off');
  } else if (cache.maxSize !== undefined && cache.partialSize > cache.maxSize) {
    note(path, 'without effect beyond cache.max_size, which bounds partial content too. Set it to less than that');
  }
}

/** More connections than a blob may have. */
function noteFew({ connections, most }: Place, note: Note): void {
  // As `splitOf` in app/ counts them: the first connection of a blob is one of the half.
  const allowed = Math.ceil(most.value / 2);
  if (most.value === 0 || connections.value <= allowed) return;
  const enough = 2 * connections.value - 1;
  if (connections.path.length >= most.path.length) {
    note(
      connections.path,
      `one blob gets at most half of ${formatKey(most.path)} (${most.value}), here ${allowed}. ` +
        `Set that to ${enough} or more, or connections to ${allowed}`,
    );
  } else {
    note(
      most.path,
      `one blob gets at most half of them, here ${allowed}, and ${formatKey(connections.path)} is ${connections.value}. ` +
        `Set it to ${enough} or more, or transfer.connections of this upstream to ${allowed}`,
    );
  }
}

/** Parts of blobs that are not split, or not kept. */
function noteLarge({ connections, minSegment }: Place, maxSize: number | undefined, note: Note): void {
  if (connections.value === 1) {
    note(
      minSegment.path,
      `without effect: ${formatKey(connections.path)} is 1, so no blob is split. Set that to 2 or more, or remove this`,
    );
  } else if (maxSize !== undefined && 2 * minSegment.value > maxSize) {
    note(
      minSegment.path,
      'no blob that fits into cache.max_size has two such parts, so none is split. Set it to a few MiB, or connections to 1',
    );
  }
}

function placesOf({ transfer, transport, registries }: Config): readonly Place[] {
  const common: Place = {
    connections: { path: ['transfer', 'connections'], value: transfer.connections },
    minSegment: { path: ['transfer', 'min_segment'], value: transfer.minSegment },
    most: { path: ['transport', 'max_conns_per_host'], value: transport.maxConnsPerHost },
  };
  const own = Object.entries(registries).flatMap(([name, registry]) => {
    const path = ['registries', name];
    const ofRegistry = overridden(common, path, registry);
    const { upstreams } = registry;
    return upstreams?.map((each, at) => overridden(ofRegistry, [...path, 'upstreams', at], each)) ?? [ofRegistry];
  });
  return [common, ...own];
}

/** What a registry or an upstream says in place of what is above it. */
function overridden(
  above: Place,
  path: Path,
  {
    transfer,
    transport,
  }: {
    readonly transfer?:
      | { readonly connections?: number | undefined; readonly minSegment?: number | undefined }
      | undefined;
    readonly transport?: { readonly maxConnsPerHost?: number | undefined } | undefined;
  },
): Place {
  const or = (value: number | undefined, key: Path, other: Setting): Setting =>
    value === undefined ? other : { path: [...path, ...key], value };
  return {
    connections: or(transfer?.connections, ['transfer', 'connections'], above.connections),
    minSegment: or(transfer?.minSegment, ['transfer', 'min_segment'], above.minSegment),
    most: or(transport?.maxConnsPerHost, ['transport', 'max_conns_per_host'], above.most),
  };
}
