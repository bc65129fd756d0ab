import { type ClientDefinition, isSecure, type ServerAddress } from './client.ts';

export const skopeo: ClientDefinition = {
  name: 'skopeo',
  hint: { label: 'skopeo', line: (server) => inspect(server, 'alpine') },
  instructions: (server) => ({
    commands: [inspect(server, 'ghcr.io/OWNER/IMAGE:TAG')],
    notes: [
      {
        en: 'Put this host in front of the image name. The same works for every program that takes image names.',
        zh: '把本服务的主机名写在镜像名前面。凡是接受镜像名的程序都可以这样用。',
      },
    ],
  }),
};

function inspect(server: Pick<ServerAddress, 'host' | 'url'>, image: string): string {
  return `skopeo inspect ${isSecure(server) ? '' : '--tls-verify=false '}docker://${server.host}/${image}`;
}
