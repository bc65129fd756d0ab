import type { ClientDefinition } from './client.ts';
import { needsInsecureRegistry } from './docker-daemon.ts';

export const dockerPull: ClientDefinition = {
  name: 'docker pull',
  hint: {
    label: 'docker',
    line: ({ host, url }) =>
      `docker pull ${host}/ghcr.io/OWNER/IMAGE, or for Docker Hub in daemon.json: {"registry-mirrors": ["${url}"]}`,
  },
  instructions: (server) => ({
    commands: [`docker pull ${server.host}/ghcr.io/OWNER/IMAGE:TAG`, `docker pull ${server.host}/OWNER/IMAGE:TAG`],
    notes: [
      {
        en: `The first command names the registry; the second means ${server.defaultRegistry}.`,
        zh: `第一条命令指明了镜像仓库，第二条表示 ${server.defaultRegistry}。`,
      },
      ...(needsInsecureRegistry(server)
        ? [
            {
              en: `Without TLS, list \`${server.host}\` in \`insecure-registries\` of \`daemon.json\`.`,
              zh: `没有 TLS 时，把 \`${server.host}\` 写进 \`daemon.json\` 的 \`insecure-registries\`。`,
            },
          ]
        : []),
    ],
  }),
};
