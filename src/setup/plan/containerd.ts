import {
  CERTS_DIRECTORY,
  type ClientFile,
  CRI_PLUGINS,
  clientNamed,
  configPathFile,
  hostsFile,
} from '../../clients/index.ts';
import { isMap, valueAt } from '../edit/index.ts';
import type { Machine } from '../machine.ts';
import { findHostsFiles, shadowNote } from './hosts.ts';
import { type ClientPlanner, type Refusal, readData, textsOf } from './wanted.ts';

const CONFIG = '/etc/containerd/config.toml';

/** containerd, as Kubernetes and nerdctl use it. Sources: containerd's docs/hosts.md, docs/cri/registry.md, PR 9982. */
export const containerd: ClientPlanner = {
  plan(machine, { server, choices }) {
    const { registries = ['_default'], ca } = choices;
    const config = readConfig(machine);
    const { directory } = config;
    const caFile = `${directory}/entrepot-ca.crt`;
    const instructions = clientNamed('containerd').instructions(server, choices);
    return {
      files: [
        ...registries.map((registry) =>
          hostsFile(server.url, { directory, registry, ca: ca === undefined ? undefined : caFile }),
        ),
        ...(ca === undefined
          ? []
          : [{ path: caFile, format: 'pem', merge: 'certificate', content: ca.trimEnd(), live: true } as const]),
        ...config.files,
      ],
      refusals: config.refusals,
      notes: [
        ...config.notes,
        ...shadowNote(machine, { directory, url: server.url, registries, command: 'entrepot setup containerd' }),
      ],
      restart: instructions?.restart,
      verify: instructions?.verify,
    };
  },

  find(machine) {
    const { directory, refusals } = readConfig(machine);
    return [
      ...refusals.map(({ path, reason }) => ({ path, mirrors: [], problem: reason })),
      ...findHostsFiles(machine, directory),
    ];
  },
};

/** What config.toml says about the directory of hosts.toml files. */
interface HostsConfig {
  readonly directory: string;
  /** The change that makes containerd read the directory; none where it does already. */
  readonly files: readonly ClientFile[];
  readonly refusals: readonly Refusal[];
  readonly notes: readonly string[];
}

const UNCHANGED: HostsConfig = { directory: CERTS_DIRECTORY, files: [], refusals: [], notes: [] };

function readConfig(machine: Machine): HostsConfig {
  const main = readData(machine, 'toml', CONFIG);
  if (main.kind === 'problem') return refused(CONFIG, main.reason);
  if (main.kind === 'absent') return { ...UNCHANGED, files: [newConfig()] };
  if (textsOf(main.data['disabled_plugins']).some((name) => /^cri$|\.cri$|\.cri\./.test(name))) {
    return { ...UNCHANGED, notes: [CRI_DISABLED] };
  }
  const { version } = main.data;
  const plugin =
    version === 2 ? CRI_PLUGINS[2] : typeof version === 'number' && version > 2 ? CRI_PLUGINS[3] : undefined;
  if (plugin === undefined) {
    return refused(CONFIG, 'has no `version = 2` or `version = 3`; convert it first, with `containerd config migrate`');
  }
  const imports = readImports(machine, textsOf(main.data['imports']));
  if ('reason' in imports) return refused(imports.path, imports.reason);
  return choosePlace({ main: main.data, imports, plugin, isMerged: plugin === CRI_PLUGINS[3] });
}

interface ConfigFile {
  readonly path: string;
  readonly data: Readonly<Record<string, unknown>>;
}

interface Layers {
  readonly main: ConfigFile['data'];
  readonly imports: readonly ConfigFile[];
  readonly plugin: string;
  /** containerd 2 merges tables; containerd 1 takes a plugin's table from the last file that has one. */
  readonly isMerged: boolean;
}

function choosePlace({ main, imports, plugin, isMerged }: Layers): HostsConfig {
  const at = ['plugins', plugin, ...(isMerged ? ['registry'] : [])];
  const files = [{ path: CONFIG, data: main }, ...imports].filter(
    ({ path, data }) => path === CONFIG || valueAt(data, at) !== undefined,
  );
  const counting = isMerged ? files : files.slice(-1);
  for (const { path, data } of counting) {
    const conflict = conflictIn(valueAt(data, ['plugins', plugin, 'registry']));
    if (conflict !== undefined) return refused(path, conflict);
  }
  const setters = counting.filter(({ data }) => configPathOf(data, plugin) !== undefined);
  const configPath = configPathOf(setters.at(-1)?.data ?? {}, plugin) ?? '';
  if (configPath !== '') {
    const [directory = CERTS_DIRECTORY, ...others] = configPath.split(':');
    return { ...UNCHANGED, directory, notes: others.length > 0 ? [severalDirectories(configPath)] : [] };
  }
  const dropIns = isMerged && setters.length === 0 ? dropInDirectory(textsOf(main['imports'])) : undefined;
  if (dropIns !== undefined) return { ...UNCHANGED, files: [dropIn(dropIns, { plugin, version: main['version'] })] };
  const place = (setters.at(-1) ?? counting.at(-1))?.path ?? CONFIG;
  return { ...UNCHANGED, files: [configPathFile(place, plugin)] };
}

/** containerd refuses to load its CRI plugin with both. */
function conflictIn(registry: unknown): string | undefined {
  const remedy =
    'which containerd does not accept beside config_path; move them to hosts.toml files first (containerd, docs/hosts.md)';
  const mirrors = valueAt(registry, ['mirrors']);
  if (isMap(mirrors) && Object.keys(mirrors).length > 0) return `has registry.mirrors, ${remedy}`;
  const configs = valueAt(registry, ['configs']);
  if (isMap(configs) && Object.values(configs).some((each) => isMap(each) && each['tls'] !== undefined)) {
    return `has registry.configs with tls, ${remedy}`;
  }
  return undefined;
}

function configPathOf(data: ConfigFile['data'], plugin: string): string | undefined {
  const value = valueAt(data, ['plugins', plugin, 'registry', 'config_path']);
  return typeof value === 'string' ? value : undefined;
}

/** The files that config.toml imports; their names may have `*`. */
function readImports(machine: Machine, patterns: readonly string[]): readonly ConfigFile[] | Refusal {
  const files: ConfigFile[] = [];
  for (const pattern of patterns) {
    for (const path of matching(machine, pattern)) {
      const file = readData(machine, 'toml', path);
      if (file.kind === 'problem') return { path, reason: file.reason };
      if (file.kind === 'data') files.push({ path, data: file.data });
    }
  }
  return files;
}

function matching(machine: Machine, pattern: string): readonly string[] {
  const path = pattern.startsWith('/') ? pattern : `/etc/containerd/${pattern}`;
  if (!path.includes('*')) return [path];
  const { directory, name } = split(path);
  const expression = new RegExp(
    `^${name
      .split('*')
      .map((each) => RegExp.escape(each))
      .join('.*')}$`,
  );
  return machine
    .list(directory)
    .filter((each) => expression.test(each))
    .map((each) => `${directory}/${each}`);
}

/** A directory whose every `*.toml` is imported. */
function dropInDirectory(patterns: readonly string[]): string | undefined {
  const pattern = patterns.find((each) => /^\/[^*]*\/\*\.toml$/.test(each));
  return pattern === undefined ? undefined : split(pattern).directory;
}

function split(path: string): { readonly directory: string; readonly name: string } {
  const slash = path.lastIndexOf('/');
  return { directory: path.slice(0, slash), name: path.slice(slash + 1) };
}

/** A drop-in has the version of the file that imports it: containerd passes over one with a higher version. */
function dropIn(
  directory: string,
  { plugin, version }: { readonly plugin: string; readonly version: unknown },
): ClientFile {
  const { content, settings, format } = configPathFile('', plugin);
  const text = `version = ${String(version)}\n\n${content}`;
  return { path: `${directory}/50-entrepot.toml`, format, merge: 'toml-tables', settings, content: text };
}

/** Where there is no file: containerd 2 reads version 2 too. */
function newConfig(): ClientFile {
  const file = configPathFile(CONFIG, CRI_PLUGINS[2]);
  return { ...file, content: `version = 2\n\n${file.content}` };
}

function refused(path: string, reason: string): HostsConfig {
  return { ...UNCHANGED, refusals: [{ path, reason }] };
}

const CRI_DISABLED = `${CONFIG} disables the CRI plugin (disabled_plugins), so only nerdctl and \`ctr --hosts-dir\` read the hosts.toml files. For Kubernetes, enable it and run this command again.`;

function severalDirectories(configPath: string): string {
  return `config_path names several directories (${configPath}). When containerd 2.1 and 2.2 pull by the transfer service, they take these for one and read no hosts.toml (containerd issue 12415): name only the first there.`;
}
