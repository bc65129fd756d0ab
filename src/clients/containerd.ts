import { type ClientDefinition, type EditedFile, type LocalText, trustNotes } from './client.ts';
import { hostsFile } from './hosts-toml.ts';

/** Where containerd looks for the files of registries once it is told to. */
export const CERTS_DIRECTORY = '/etc/containerd/certs.d';
const CA_FILE = `${CERTS_DIRECTORY}/entrepot-ca.crt`;

/** Source: containerd's docs/hosts.md and docs/cri/registry.md. */
export const containerd: ClientDefinition = {
  name: 'containerd',
  setup: 'containerd',
  signs: { programs: ['containerd'], paths: ['/etc/containerd'] },
  hint: {
    label: 'containerd',
    line: ({ url }) =>
      `certs.d/_default/hosts.toml: [host."${url}"] with capabilities = ["pull", "resolve"]; config.toml needs a config_path`,
  },
  instructions: (server, { registries = ['_default'], ca } = {}) => ({
    files: [
      ...registries.map((registry) =>
        hostsFile(server.url, { directory: CERTS_DIRECTORY, registry, ca: ca === undefined ? undefined : CA_FILE }),
      ),
      ...(ca === undefined
        ? []
        : [{ path: CA_FILE, format: 'pem', merge: 'certificate', content: ca.trimEnd(), live: true } as const]),
      ...CONFIG_PATHS.map(({ plugin, version }) =>
        configPathFile('/etc/containerd/config.toml', plugin, { en: version, zh: version }),
      ),
    ],
    restart: 'systemctl restart containerd',
    verify: 'crictl pull docker.io/library/hello-world:latest',
    notes: [
      {
        en: 'For every registry at once: containerd names the registry in `?ns=`.',
        zh: '一次对所有镜像仓库生效：containerd 用 `?ns=` 指明镜像仓库。',
      },
      {
        en: 'A directory `certs.d/ghcr.io` counts in place of `certs.d/_default` for that registry: `entrepot setup containerd --registries ghcr.io`.',
        zh: '如果有 `certs.d/ghcr.io` 目录，该镜像仓库就不再使用 `certs.d/_default`：`entrepot setup containerd --registries ghcr.io`。',
      },
      {
        en: 'It reads `hosts.toml` at each pull, but only if `config.toml` has a `config_path`; without one it pulls from the registries themselves. Restart it only after a change of `config.toml`.',
        zh: '它每次拉取都会读取 `hosts.toml`，但只有 `config.toml` 中设置了 `config_path` 才会读；没有设置时，它直接从镜像仓库拉取。只有改动 `config.toml` 之后才需要重启。',
      },
      {
        en: 'It does not start with both a `config_path` and `registry.mirrors`: move those to `hosts.toml` files first.',
        zh: '`config_path` 和 `registry.mirrors` 不能同时存在，否则 CRI 插件无法启动：请先把后者改写成 `hosts.toml` 文件。',
      },
      {
        en: '`ctr` reads the directory only with `--hosts-dir /etc/containerd/certs.d`.',
        zh: '`ctr` 只有加上 `--hosts-dir /etc/containerd/certs.d` 才会读取这个目录。',
      },
      ...trustNotes(server, 'containerd', CA_FILE),
    ],
  }),
};

/** The plugin whose table names the directory, by the version of the file (`version = 2`, `version = 3`). */
export const CRI_PLUGINS = { 2: 'io.containerd.grpc.v1.cri', 3: 'io.containerd.cri.v1.images' } as const;

/** The directory of hosts.toml files is off until `config_path` names it; the name of the table differs by version. */
const CONFIG_PATHS = [
  { version: 'containerd 2', plugin: CRI_PLUGINS[3] },
  { version: 'containerd 1', plugin: CRI_PLUGINS[2] },
];

/** The table that makes containerd read {@link CERTS_DIRECTORY}. */
export function configPathFile(path: string, plugin: string, where?: LocalText): EditedFile {
  return {
    path,
    ...(where && { where }),
    format: 'toml',
    merge: 'toml-tables',
    settings: [{ at: ['plugins', plugin, 'registry', 'config_path'], set: CERTS_DIRECTORY }],
    content: [`[plugins."${plugin}".registry]`, `  config_path = "${CERTS_DIRECTORY}"`].join('\n'),
  };
}
