import { type ClientDefinition, isSecure, type ServerAddress } from './client.ts';

/** Source: BuildKit's docs/buildkitd.toml.md. */
export const buildkit: ClientDefinition = {
  name: 'buildkit',
  instructions: (server) => ({
    files: [
      {
        path: '/etc/buildkit/buildkitd.toml',
        format: 'toml',
        merge: 'toml-tables',
        content: [
          ...['docker.io', 'ghcr.io'].map((registry) => mirrorOf(registry, server)),
          ...(isSecure(server) ? [] : [`[registry."${server.host}"]\n  http = true`]),
        ].join('\n\n'),
      },
    ],
    restart: 'docker buildx create --use --name entrepot --buildkitd-config /etc/buildkit/buildkitd.toml',
    verify: "printf 'FROM hello-world' | docker buildx build --builder entrepot --pull -",
    notes: [
      {
        en: 'One table for each registry. A builder of `docker buildx` gets the file when it is created; a `buildkitd` of your own reads it when it starts.',
        zh: '每个镜像仓库写一个表。`docker buildx` 的构建器在创建时得到这个文件；自己运行的 `buildkitd` 在启动时读取它。',
      },
      {
        en: 'The builder within Docker itself uses the mirrors of `daemon.json`.',
        zh: 'Docker 自带的构建器使用 `daemon.json` 中的镜像加速地址。',
      },
    ],
  }),
};

/** BuildKit puts the path of a mirror behind /v2/, where this server reads the registry's name. */
function mirrorOf(registry: string, { host }: ServerAddress): string {
  return `[registry."${registry}"]\n  mirrors = ["${host}/${registry}"]`;
}
