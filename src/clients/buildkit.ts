import {
  type ClientDefinition,
  type ClientFile,
  isSecure,
  type ServerAddress,
  type SetupChoices,
  trustNotes,
} from './client.ts';

const CA_FILE = '/etc/buildkit/entrepot-ca.crt';

/** Source: BuildKit's docs/buildkitd.toml.md. */
export const buildkit: ClientDefinition = {
  name: 'buildkit',
  setup: 'buildkit',
  signs: { programs: ['buildkitd', 'buildctl'], paths: ['/etc/buildkit', '~/.docker/buildx'] },
  instructions: (server, choices = {}) => ({
    files: buildkitFiles(server, choices),
    restart: `docker buildx create --use --name entrepot --buildkitd-config ${buildkitdToml(choices)}`,
    verify: "printf 'FROM hello-world' | docker buildx build --builder entrepot --pull -",
    notes: [
      {
        en: 'One table for each registry.',
        zh: '每个镜像仓库写一个表。',
      },
      {
        en: 'A builder of `docker buildx` gets the file when it is created; a `buildkitd` of your own reads it when it starts.',
        zh: '`docker buildx` 的构建器在创建时得到这个文件；自己运行的 `buildkitd` 在启动时读取它。',
      },
      {
        en: 'The builder within Docker itself uses the mirrors of `daemon.json`; one that `docker buildx create` made does not.',
        zh: 'Docker 自带的构建器使用 `daemon.json` 中的镜像加速地址；`docker buildx create` 创建的构建器不使用。',
      },
      ...trustNotes(server, 'buildkit', CA_FILE),
    ],
  }),
};

function buildkitdToml({ user = false }: SetupChoices): string {
  return user ? '~/.config/buildkit/buildkitd.toml' : '/etc/buildkit/buildkitd.toml';
}

function buildkitFiles(server: ServerAddress, choices: SetupChoices): ClientFile[] {
  const { registries = ['docker.io', 'ghcr.io'], ca, user = false } = choices;
  const { host } = server;
  const caFile = user ? '~/.config/buildkit/entrepot-ca.crt' : CA_FILE;
  const own = isSecure(server)
    ? ca === undefined
      ? []
      : [{ key: 'ca', value: [caFile] }]
    : [{ key: 'http', value: true }];
  return [
    {
      path: buildkitdToml(choices),
      format: 'toml',
      merge: 'toml-tables',
      settings: [
        ...registries.map((registry) => ({ at: ['registry', registry, 'mirrors'], first: `${host}/${registry}` })),
        ...own.map(({ key, value }) => ({ at: ['registry', host, key], set: value })),
      ],
      content: [
        ...registries.map((registry) => mirrorOf(registry, server)),
        ...own.map(({ key, value }) => `[registry."${host}"]\n  ${key} = ${JSON.stringify(value)}`),
      ].join('\n\n'),
    },
    ...(ca === undefined
      ? []
      : [{ path: caFile, format: 'pem', merge: 'certificate', content: ca.trimEnd() } as const]),
  ];
}

/** BuildKit puts the path of a mirror behind /v2/, where this server reads the registry's name. */
function mirrorOf(registry: string, { host }: ServerAddress): string {
  return `[registry."${registry}"]\n  mirrors = ["${host}/${registry}"]`;
}
