import type { ClientDefinition, ForwardHelp, ServerAddress } from './client.ts';

export const forwardProxy: ClientDefinition = {
  name: 'forward proxy',
  title: { en: 'forward proxy', zh: '正向代理' },
  instructions(server) {
    if (server.forward === undefined) return undefined;
    const address = addressOf(server, server.forward);
    return {
      commands: [`export HTTPS_PROXY=${address} HTTP_PROXY=${address}`],
      verify: `curl -x ${address} https://ghcr.io/v2/`,
      notes: [
        { en: 'Image names stay as they are.', zh: '镜像名保持不变。' },
        {
          en: 'Set both variables in the environment of the engine (dockerd, containerd) or of the client (podman, skopeo, curl).',
          zh: '把两个变量写在引擎（dockerd、containerd）或客户端（podman、skopeo、curl）的环境中。',
        },
        { en: 'Only the hosts that the configuration allows can be reached.', zh: '只能访问配置所允许的主机。' },
      ],
    };
  },
};

function addressOf({ host, url }: ServerAddress, { port, secure = false, credential }: ForwardHelp): string {
  const own = port === undefined ? host : `${host.replace(/:\d+$/, '')}:${port}`;
  const scheme = port === undefined ? new URL(url).protocol : secure ? 'https:' : 'http:';
  return `${scheme}//${credential ? 'USER:PASSWORD@' : ''}${own}`;
}
