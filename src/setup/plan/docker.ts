import { clientNamed } from '../../clients/index.ts';
import { isMap, valueAt } from '../edit/index.ts';
import type { Machine } from '../machine.ts';
import { findHostsFiles, shadowNote } from './hosts.ts';
import { type ClientPlanner, found, readData, textsOf } from './wanted.ts';

/** Docker Engine. Sources: dockerd(8), moby's daemon/config and daemon/hosts.go. */
export const docker: ClientPlanner = {
  plan(machine, { server, choices }) {
    const { user = false, registries } = choices;
    const directory = directoryOf(user);
    const flags = user ? NO_FLAGS : readFlags(machine);
    const daemonFile = flags.configFile ?? `${directory}/daemon.json`;
    const daemon = readData(machine, 'json', daemonFile);
    const usesContainerd = daemon.kind === 'data' && valueAt(daemon.data, STORE) === true;
    const chosen = registries ?? (usesContainerd ? ['_default'] : []);
    const instructions = clientNamed('docker').instructions(server, { ...choices, registries: chosen });
    const files = (instructions?.files ?? []).map((file) =>
      file.path === `${directory}/daemon.json` ? { ...file, path: daemonFile } : file,
    );
    const certs = `${directory}/certs.d`;
    return {
      files,
      refusals: flags.conflicts
        .filter(({ key }) => files.some((file) => 'settings' in file && file.settings.some(({ at }) => at[0] === key)))
        .map(({ path, flag, key }) => ({ path, reason: conflict(flag, key) })),
      notes: [
        ...storeNotes({ usesContainerd, chosen }),
        ...disablingNote(machine, { certs, chosen }),
        ...shadowNote(machine, {
          directory: certs,
          url: server.url,
          registries: chosen,
          command: 'entrepot setup docker',
        }),
        ...(machine.has('/var/snap/docker') ? [SNAP] : []),
        ...(choices.ca !== undefined && chosen.length === 0 ? [CA_NOTE] : []),
      ],
      restart: instructions?.restart,
      verify: instructions?.verify,
    };
  },

  find(machine, user) {
    const directory = directoryOf(user);
    const daemonFile = (user ? undefined : readFlags(machine).configFile) ?? `${directory}/daemon.json`;
    return [
      ...found(machine, {
        path: daemonFile,
        format: 'json',
        read: (data) => textsOf(data['registry-mirrors']).map((server) => ({ registry: 'docker.io', server })),
      }),
      ...findHostsFiles(machine, `${directory}/certs.d`),
    ];
  },
};

const STORE = ['features', 'containerd-snapshotter'];

function directoryOf(user: boolean): string {
  return user ? '~/.config/docker' : '/etc/docker';
}

function storeNotes({
  usesContainerd,
  chosen,
}: {
  readonly usesContainerd: boolean;
  readonly chosen: readonly string[];
}): readonly string[] {
  if (usesContainerd) return [];
  if (chosen.length > 0) {
    return [
      'Docker reads the hosts.toml files only with the containerd image store; `docker info` shows it as driver-type io.containerd.snapshotter.v1.',
    ];
  }
  return [
    'registry-mirrors serve Docker Hub only. For other registries, put the server in front of the image name, or, with the containerd image store, add --registries ghcr.io,quay.io.',
  ];
}

/** With two hosts for Docker Hub in certs.d, Docker does not look at registry-mirrors. */
function disablingNote(
  machine: Machine,
  { certs, chosen }: { readonly certs: string; readonly chosen: readonly string[] },
): readonly string[] {
  return ['docker.io', '_default'].flatMap((registry) => {
    const path = `${certs}/${registry}/hosts.toml`;
    const file = chosen.includes(registry) ? undefined : readData(machine, 'toml', path);
    if (file?.kind !== 'data' || !isMap(file.data['host'])) return [];
    return [
      `${path} names hosts for Docker Hub; with the containerd image store, registry-mirrors then do not count. Add --registries ${registry}.`,
    ];
  });
}

const SNAP = 'Docker is also installed as a snap, which reads /var/snap/docker/current/config/daemon.json instead.';
const CA_NOTE =
  'With the containerd image store, Docker does not use certs.d/HOST/ca.crt for registry-mirrors; add --registries docker.io there.';

interface DaemonFlags {
  /** Flags that are also keys of the file, and where they stand. */
  readonly conflicts: readonly { readonly path: string; readonly flag: string; readonly key: string }[];
  /** `--config-file` */
  readonly configFile?: string | undefined;
}

const NO_FLAGS: DaemonFlags = { conflicts: [] };

/** The flags with which the system starts dockerd. */
function readFlags(machine: Machine): DaemonFlags {
  const dropIns = machine
    .list(`${UNIT}.d`)
    .filter((name) => name.endsWith('.conf'))
    .map((name) => `${UNIT}.d/${name}`);
  const texts = [...FLAG_FILES, ...dropIns].flatMap((path) => {
    const state = machine.read(path);
    return state.kind === 'file' ? [{ path, text: state.text.replace(/^\s*[#;].*$/gm, '') }] : [];
  });
  return {
    conflicts: texts.flatMap(({ path, text }) =>
      LIST_FLAGS.filter(({ flag }) => new RegExp(`${flag}[= ]`).test(text)).map((each) => ({ path, ...each })),
    ),
    configFile: texts.map(({ text }) => /--config-file[= ]"?([^\s"']+)/.exec(text)?.[1]).findLast(Boolean),
  };
}

function conflict(flag: string, key: string): string {
  return `starts dockerd with ${flag}, and dockerd does not start when daemon.json has ${key} too; move the flag into daemon.json first`;
}

const LIST_FLAGS = [
  { flag: '--registry-mirror', key: 'registry-mirrors' },
  { flag: '--insecure-registry', key: 'insecure-registries' },
];
const UNIT = '/etc/systemd/system/docker.service';
const FLAG_FILES = [
  '/usr/lib/systemd/system/docker.service',
  '/lib/systemd/system/docker.service',
  UNIT,
  '/etc/default/docker',
  '/etc/sysconfig/docker',
  '/etc/conf.d/docker',
];
