import type { ClientDefinition, ServerAddress } from './client.ts';

export const dockerDaemon: ClientDefinition = {
  name: 'docker daemon',
  instructions: (server) => ({
    files: [
      {
        path: '/etc/docker/daemon.json',
        format: 'json',
        merge: 'json',
        content: JSON.stringify(
          {
            'registry-mirrors': [server.url],
            ...(needsInsecureRegistry(server) && { 'insecure-registries': [server.host] }),
          },
          null,
          2,
        ),
      },
    ],
    restart: 'systemctl reload docker',
    verify: 'docker pull hello-world',
    notes: [
      'For Docker Hub images under their own names.',
      'Docker uses mirrors for Docker Hub only; for other registries, put this host in front of the image name.',
    ],
  }),
};

/** Docker accepts plain HTTP from loopback addresses by itself, and from others if `insecure-registries` lists them. */
export function needsInsecureRegistry({ url }: Pick<ServerAddress, 'url'>): boolean {
  const { protocol, hostname } = new URL(url);
  return protocol === 'http:' && hostname !== 'localhost' && hostname !== '[::1]' && !hostname.startsWith('127.');
}
