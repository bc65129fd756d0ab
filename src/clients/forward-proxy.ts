import type { ClientDefinition, ForwardHelp, ServerAddress } from './client.ts';

export const forwardProxy: ClientDefinition = {
  name: 'forward proxy',
  instructions(server) {
    if (server.forward === undefined) return undefined;
    const address = addressOf(server, server.forward);
    return {
      commands: [`export HTTPS_PROXY=${address} HTTP_PROXY=${address}`],
      verify: `curl -x ${address} https://ghcr.io/v2/`,
      notes: [
        'Set them in the environment of the engine (dockerd, containerd) or of the client (podman, skopeo, curl).',
        'Image names stay as they are.',
        'Only the hosts that the configuration allows can be reached.',
      ],
    };
  },
};

function addressOf({ host, url }: ServerAddress, { port, secure = false, credential }: ForwardHelp): string {
  const own = port === undefined ? host : `${host.replace(/:\d+$/, '')}:${port}`;
  const scheme = port === undefined ? new URL(url).protocol : secure ? 'https:' : 'http:';
  return `${scheme}//${credential ? 'USER:PASSWORD@' : ''}${own}`;
}
