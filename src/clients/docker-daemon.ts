import {
  type ClientDefinition,
  type ClientFile,
  isLoopback,
  isSecure,
  type ServerAddress,
  type SetupChoices,
  trustNotes,
} from './client.ts';
import { hostsFile } from './hosts-toml.ts';

/** Sources: dockerd(8), moby's daemon/hosts.go, docs.docker.com "Verify repository client with certificates". */
export const dockerDaemon: ClientDefinition = {
  name: 'docker daemon',
  setup: 'docker',
  signs: { programs: ['dockerd', 'docker'], paths: ['/etc/docker', '~/.config/docker/daemon.json'] },
  instructions: (server, choices = {}) => ({
    files: dockerFiles(server, choices),
    restart: choices.user === true ? 'systemctl --user reload docker' : 'systemctl reload docker',
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
      {
        en: 'With the containerd image store, the default of new installations since Docker 29, Docker also reads `/etc/docker/certs.d/ghcr.io/hosts.toml`, in the form that containerd has: `entrepot setup docker --registries ghcr.io,quay.io`.',
        zh: '使用 containerd 镜像存储时（Docker 29 起新安装的默认值），Docker 还会读取 `/etc/docker/certs.d/ghcr.io/hosts.toml`，格式与 containerd 相同：`entrepot setup docker --registries ghcr.io,quay.io`。',
      },
      {
        en: 'Two hosts in a `hosts.toml` for `docker.io` or for `_default` turn `registry-mirrors` off there.',
        zh: '在这种存储下，`docker.io` 或 `_default` 的 `hosts.toml` 里如果有两个主机，`registry-mirrors` 就不再生效。',
      },
      {
        en: 'Rootless Docker has its files in `~/.config/docker`.',
        zh: 'rootless Docker 的文件在 `~/.config/docker`。',
      },
      ...trustNotes(server, 'docker', `/etc/docker/certs.d/${server.host}/ca.crt`),
    ],
  }),
};

/** The daemon's file, a `hosts.toml` for each registry that is chosen, and the authority's certificate. */
function dockerFiles(server: ServerAddress, { registries = [], user = false, ca }: SetupChoices): ClientFile[] {
  const directory = user ? '~/.config/docker' : '/etc/docker';
  const caFile = `${directory}/certs.d/${server.host}/ca.crt`;
  const insecure = needsInsecureRegistry(server);
  return [
    {
      path: `${directory}/daemon.json`,
      format: 'json',
      merge: 'keys',
      settings: [
        { at: ['registry-mirrors'], first: server.url },
        ...(insecure ? [{ at: ['insecure-registries'], first: server.host }] : []),
      ],
      content: JSON.stringify(
        { 'registry-mirrors': [server.url], ...(insecure && { 'insecure-registries': [server.host] }) },
        null,
        2,
      ),
    },
    ...registries.map((registry) =>
      hostsFile(server.url, { directory: `${directory}/certs.d`, registry, ca: ca === undefined ? undefined : caFile }),
    ),
    ...(ca === undefined
      ? []
      : [{ path: caFile, format: 'pem', merge: 'certificate', content: ca.trimEnd(), live: true } as const]),
  ];
}

/** Docker accepts plain HTTP from loopback addresses by itself, and from others if `insecure-registries` lists them. */
export function needsInsecureRegistry(server: Pick<ServerAddress, 'url'>): boolean {
  return !isSecure(server) && !isLoopback(server);
}
