import {
  type ClientDefinition,
  type ClientFile,
  isSecure,
  type ServerAddress,
  type SetupChoices,
  trustNotes,
} from './client.ts';

/** For podman, buildah and skopeo. Sources: containers-registries.conf(5), containers-certs.d(5). */
export const podman: ClientDefinition = {
  name: 'podman',
  setup: 'podman',
  signs: { programs: ['podman', 'buildah'], paths: ['/etc/containers/registries.conf'] },
  hint: {
    label: 'podman',
    line: (server) =>
      `registries.conf: [[registry]] prefix = "ghcr.io" with [[registry.mirror]] location = "${server.host}/ghcr.io"${isSecure(server) ? '' : ', insecure = true'}`,
  },
  instructions: (server, choices = {}) => ({
    files: containersFiles(server, { ...choices, registries: choices.registries ?? ['docker.io', 'ghcr.io'] }),
    verify: 'podman pull docker.io/library/hello-world:latest',
    notes: [
      {
        en: 'For podman, buildah and skopeo: one pair of tables for each registry.',
        zh: '用于 podman、buildah 和 skopeo：每个镜像仓库写一对表。',
      },
      {
        en: 'Without root, the file is `~/.config/containers/registries.conf.d/50-entrepot.conf`.',
        zh: '没有 root 权限时，文件是 `~/.config/containers/registries.conf.d/50-entrepot.conf`。',
      },
      {
        en: 'Files of the directory are read in the order of their names, and a table replaces an earlier one with the same `prefix`.',
        zh: '该目录中的文件按文件名顺序读取，`prefix` 相同的表，后读的取代先读的。',
      },
      ...trustNotes(server, 'podman', `/etc/containers/certs.d/${server.host}/ca.crt`),
    ],
  }),
};

/** Where these files are: those of the machine, or of one user. */
export function containersDirectory(user: boolean): string {
  return user ? '~/.config/containers' : '/etc/containers';
}

/** The drop-in that sends the pulls of these registries to this server, and the authority's certificate. */
export function containersFiles(
  server: ServerAddress,
  { registries = [], user = false, ca }: SetupChoices,
): ClientFile[] {
  const directory = containersDirectory(user);
  return [
    {
      path: `${directory}/registries.conf.d/50-entrepot.conf`,
      format: 'toml',
      merge: 'drop-in',
      live: true,
      content: registries.map((registry) => mirrorTables(registry, server)).join('\n\n'),
    },
    ...(ca === undefined
      ? []
      : [
          {
            path: `${directory}/certs.d/${server.host}/ca.crt`,
            format: 'pem',
            merge: 'certificate',
            content: ca.trimEnd(),
            live: true,
          } as const,
        ]),
  ];
}

function mirrorTables(registry: string, server: ServerAddress): string {
  return [
    '[[registry]]',
    `prefix = "${registry}"`,
    `location = "${registry}"`,
    '[[registry.mirror]]',
    `location = "${server.host}/${registry}"`,
    ...(isSecure(server) ? [] : ['insecure = true']),
  ].join('\n');
}
