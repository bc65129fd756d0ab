import { type ClientDefinition, isLoopback, isSecure, type ServerAddress } from './client.ts';

export const dockerDaemon: ClientDefinition = {
  name: 'docker daemon',
  instructions: (server) => ({
    files: [
      {
        path: '/etc/docker/daemon.json',
        format: 'json',
        merge: 'keys',
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
      {
        en: 'For Docker Hub images under their own names.',
        zh: '用于以原名拉取的 Docker Hub 镜像。',
      },
      {
        en: 'Docker uses mirrors for Docker Hub only; for other registries, put this host in front of the image name.',
        zh: 'Docker 只对 Docker Hub 使用镜像加速地址；其他镜像仓库，把本服务的主机名写在镜像名前面。',
      },
    ],
  }),
};

/** Docker accepts plain HTTP from loopback addresses by itself, and from others if `insecure-registries` lists them. */
export function needsInsecureRegistry(server: Pick<ServerAddress, 'url'>): boolean {
  return !isSecure(server) && !isLoopback(server);
}
