import { type ClientDefinition, isSecure, type ServerAddress } from './client.ts';

/** For podman, buildah, skopeo and CRI-O. Source: containers-registries.conf(5). */
export const podman: ClientDefinition = {
  name: 'podman',
  hint: {
    label: 'podman',
    line: (server) =>
      `registries.conf: [[registry]] prefix = "ghcr.io" with [[registry.mirror]] location = "${server.host}/ghcr.io"${isSecure(server) ? '' : ', insecure = true'}`,
  },
  instructions: (server) => ({
    files: [
      {
        path: '/etc/containers/registries.conf.d/entrepot.conf',
        format: 'toml',
        merge: 'drop-in',
        content: ['docker.io', 'ghcr.io'].map((registry) => mirrorOf(registry, server)).join('\n\n'),
      },
    ],
    verify: 'podman pull docker.io/library/hello-world:latest',
    notes: [
      'One pair of tables for each registry.',
      'buildah, skopeo and CRI-O read the same file, CRI-O after systemctl reload crio.',
    ],
  }),
};

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
