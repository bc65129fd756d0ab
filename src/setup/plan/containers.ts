import {
  type ClientFile,
  clientNamed,
  containersDirectory,
  isSecure,
  type ServerAddress,
  type SetupClient,
} from '../../clients/index.ts';
import { isMap } from '../edit/index.ts';
import type { Machine } from '../machine.ts';
import {
  type ClientPlanner,
  COMMON_REGISTRIES,
  type FoundFile,
  type FoundMirror,
  found,
  type Refusal,
  readData,
  textsOf,
} from './wanted.ts';

/** podman, buildah and skopeo. Source: containers-registries.conf(5), containers-registries.conf.d(5). */
export const podman = plannerOf('podman');
/** CRI-O reads the same files. */
export const crio = plannerOf('cri-o');

function plannerOf(client: SetupClient): ClientPlanner {
  return {
    plan(machine, { server, choices }) {
      const { registries = COMMON_REGISTRIES, user = false } = choices;
      const instructions = clientNamed(client).instructions(server, { ...choices, registries });
      const own = `${containersDirectory(user)}/registries.conf.d/${OWN_NAME}`;
      const layers = readLayers(machine, { user, own });
      const refusals: Refusal[] = layers.flatMap(({ path, problem }) =>
        problem === undefined ? [] : [{ path, reason: problem }],
      );
      const files = (instructions?.files ?? []).map((file): ClientFile => {
        if (file.path !== own || file.merge !== 'drop-in') return file;
        const tables = registries.map((registry) => {
          const merged = mergedTable(registry, { server, layers, own });
          if (typeof merged === 'string') return merged;
          refusals.push(merged);
          return '';
        });
        return { ...file, content: [header(client), ...tables].join('\n\n') };
      });
      return {
        files,
        refusals,
        notes: registries.length > 0 && choices.registries === undefined ? [othersNote(client)] : [],
        restart: instructions?.restart,
        verify: instructions?.verify,
      };
    },

    find: (machine, user) =>
      pathsOf(machine, user).flatMap((path): readonly FoundFile[] =>
        found(machine, { path, format: 'toml', read: mirrorsIn }),
      ),
  };
}

const OWN_NAME = '50-entrepot.conf';

function header(client: SetupClient): string {
  return `# Written by \`entrepot setup ${client}\`; \`entrepot setup ${client} --undo\` removes it.`;
}

function othersNote(client: SetupClient): string {
  return `The file has a table for ${COMMON_REGISTRIES.length} registries. For others: entrepot setup ${client} --registries ${COMMON_REGISTRIES[0]},REGISTRY`;
}

interface Layer {
  readonly path: string;
  readonly tables: readonly Readonly<Record<string, unknown>>[];
  readonly problem?: string;
}

/** The files in the order in which they are read: a table of a later file replaces one with the same prefix. */
function pathsOf(machine: Machine, user: boolean): readonly string[] {
  const userFile = '~/.config/containers/registries.conf';
  const main = user && machine.has(userFile) ? userFile : '/etc/containers/registries.conf';
  const directories = [
    '/etc/containers/registries.conf.d',
    ...(user ? ['~/.config/containers/registries.conf.d'] : []),
  ];
  const dropIns = directories.flatMap((directory) =>
    machine
      .list(directory)
      .filter((name) => name.endsWith('.conf'))
      .map((name) => `${directory}/${name}`),
  );
  return [main, ...dropIns];
}

function readLayers(
  machine: Machine,
  { user, own }: { readonly user: boolean; readonly own: string },
): readonly Layer[] {
  const paths = pathsOf(machine, user);
  // In its place in the order of names, whether it is there yet or not.
  const before = paths.filter((path) => path !== own && !isAfter(path, own));
  const after = paths.filter((path) => path !== own && isAfter(path, own));
  return [
    ...before.map((path) => readLayer(machine, path)),
    { path: own, tables: [] },
    ...after.map((path) => readLayer(machine, path)),
  ];
}

function isAfter(path: string, own: string): boolean {
  const directoryOf = (each: string): string => each.slice(0, each.lastIndexOf('/'));
  return directoryOf(path) === directoryOf(own) && path > own;
}

function readLayer(machine: Machine, path: string): Layer {
  const file = readData(machine, 'toml', path);
  if (file.kind === 'absent') return { path, tables: [] };
  if (file.kind === 'problem') return { path, tables: [], problem: file.reason };
  const { registries } = file.data;
  if (!isMap(registries)) return { path, tables: tablesOf(file.data) };
  if (path.includes('.d/')) return { path, tables: [], problem: VERSION_1 };
  return { path, tables: versionOneTables(registries) };
}

const VERSION_1 =
  'is in version 1 of the format, which a drop-in may not be; convert it to version 2 (containers-registries.conf(5))';

/** The registries of version 1 as tables of version 2. Its list of registries to search is no matter of mirrors. */
function versionOneTables(registries: Readonly<Record<string, unknown>>): Layer['tables'] {
  const named = (key: string): readonly string[] => {
    const table = registries[key];
    return isMap(table) ? textsOf(table['registries']) : [];
  };
  return [
    ...named('insecure').map((location) => ({ location, insecure: true })),
    ...named('block').map((location) => ({ location, blocked: true })),
  ];
}

function tablesOf(data: Readonly<Record<string, unknown>>): Layer['tables'] {
  const { registry } = data;
  return Array.isArray(registry) ? registry.filter(isMap) : [];
}

function mirrorsIn(data: Readonly<Record<string, unknown>>): readonly FoundMirror[] {
  return tablesOf(data).flatMap((table) => {
    const mirrors = Array.isArray(table['mirror']) ? table['mirror'].filter(isMap) : [];
    return mirrors.flatMap(({ location }) =>
      typeof location === 'string' ? [{ registry: prefixOf(table), server: location }] : [],
    );
  });
}

function prefixOf({ prefix, location }: Readonly<Record<string, unknown>>): string {
  const name = prefix ?? location;
  return typeof name === 'string' ? name : '';
}

/** The tables of one registry: what an earlier file says about it stays, with this server in front. */
function mergedTable(
  registry: string,
  { server, layers, own }: { readonly server: ServerAddress; readonly layers: readonly Layer[]; readonly own: string },
): string | Refusal {
  const named = layers.filter(({ tables }) => tables.some((table) => prefixOf(table) === registry));
  const place = layers.findIndex(({ path }) => path === own);
  const later = named.find((layer) => layers.indexOf(layer) > place);
  if (later !== undefined) {
    const reason = `is read after ${OWN_NAME} and has a table for ${registry}, which would count; give it an earlier name, or leave ${registry} out with --registries`;
    return { path: later.path, reason };
  }
  const earlier = named.at(-1);
  const [table, ...more] = earlier?.tables.filter((each) => prefixOf(each) === registry) ?? [];
  if (earlier === undefined || table === undefined) return tables(registry, { server, table: {}, from: undefined });
  const reason = more.length > 0 ? `has two tables for ${registry}` : cannotRepeat(table, registry);
  if (reason !== undefined) {
    return {
      path: earlier.path,
      reason: `${reason}; add this server there by hand, or leave ${registry} out with --registries`,
    };
  }
  return tables(registry, { server, table, from: earlier.path });
}

const TABLE_KEYS = ['prefix', 'location', 'insecure', 'mirror-by-digest-only', 'mirror'];
const MIRROR_KEYS = ['location', 'insecure', 'pull-from-mirror'];

function cannotRepeat(table: Readonly<Record<string, unknown>>, registry: string): string | undefined {
  if (table['blocked'] === true) return `blocks ${registry}`;
  const mirrors = table['mirror'] ?? [];
  if (!Array.isArray(mirrors) || !mirrors.every(isMap))
    return `has a table for ${registry} with mirrors that are no tables`;
  const unknown = [
    ...Object.keys(table).filter((key) => key !== 'blocked' && !TABLE_KEYS.includes(key)),
    ...mirrors.flatMap((mirror) => Object.keys(mirror).filter((key) => !MIRROR_KEYS.includes(key))),
  ];
  return unknown.length === 0 ? undefined : `has a table for ${registry} with ${unknown.join(', ')}`;
}

function tables(
  registry: string,
  {
    server,
    table,
    from,
  }: {
    readonly server: ServerAddress;
    readonly table: Readonly<Record<string, unknown>>;
    readonly from: string | undefined;
  },
): string {
  const ours = `${server.host}/${registry}`;
  const { mirror = [], location = registry } = table;
  const others = (Array.isArray(mirror) ? mirror : []).filter(isMap).filter((each) => each['location'] !== ours);
  const rest = { insecure: table['insecure'], 'mirror-by-digest-only': table['mirror-by-digest-only'] };
  return [
    ...(from === undefined ? [] : [`# As in ${from}, which this table replaces, with this server in front.`]),
    '[[registry]]',
    ...pairs({ prefix: registry, location, ...rest }),
    '[[registry.mirror]]',
    ...pairs({ location: ours, insecure: isSecure(server) ? undefined : true }),
    ...others.flatMap((each) => ['[[registry.mirror]]', ...pairs(each)]),
  ].join('\n');
}

function pairs(values: Readonly<Record<string, unknown>>): readonly string[] {
  return Object.entries(values)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => `${key} = ${JSON.stringify(value)}`);
}
