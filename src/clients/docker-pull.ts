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
      `The first command names the registry; the second means ${server.defaultRegistry}.`,
      ...(needsInsecureRegistry(server)
        ? [`Without TLS, list ${server.host} in insecure-registries of daemon.json.`]
        : []),
    ],
  }),
};
