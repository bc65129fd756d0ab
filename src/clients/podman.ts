import { type ClientDefinition, type ClientFile, isSecure, type ServerAddress } from './client.ts';

/** For podman, buildah and skopeo. Source: containers-registries.conf(5). */
export const podman: ClientDefinition = {
  name: 'podman',
  hint: {
    label: 'podman',
    line: (server) =>
      `registries.conf: [[registry]] prefix = "ghcr.io" with [[registry.mirror]] location = "${server.host}/ghcr.io"${isSecure(server) ? '' : ', insecure = true'}`,
  },
  instructions: (server) => ({
    files: [registriesConf(server, ['docker.io', 'ghcr.io'])],
    verify: 'podman pull docker.io/library/hello-world:latest',
    notes: [
      { en: 'One pair of tables for each registry.', zh: '每个镜像仓库写一对表。' },
      {
        en: 'buildah and skopeo read the same file.',
        zh: 'buildah 和 skopeo 读取同一个文件。',
      },
    ],
  }),
};

/** The drop-in that sends the pulls of these registries to this server. */
export function registriesConf(server: ServerAddress, registries: readonly string[]): ClientFile {
  return {
    path: '/etc/containers/registries.conf.d/entrepot.conf',
    format: 'toml',
    merge: 'drop-in',
    content: registries.map((registry) => mirrorOf(registry, server)).join('\n\n'),
  };
}

function mirrorOf(registry: string, server: ServerAddress): string {
  return [
    '[[registry]]',
    `prefix = "${registry}"`,
    `location = "${registry}"`,
    '[[registry.mirror]]',
    `location = "${server.host}/${registry}"`,
    ...(isSecure(server) ? [] : ['insecure = true']),
  ].join('\n');
}
