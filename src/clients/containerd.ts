import type { ClientDefinition, ClientFile } from './client.ts';

/** Source: containerd's docs/hosts.md. */
export const containerd: ClientDefinition = {
  name: 'containerd',
  hint: {
    label: 'containerd',
    line: ({ url }) =>
      `certs.d/_default/hosts.toml: [host."${url}"] with capabilities = ["pull", "resolve"]; config.toml needs a config_path`,
  },
  instructions: ({ url }) => ({
    files: [
      {
        path: '/etc/containerd/certs.d/_default/hosts.toml',
        format: 'toml',
        merge: 'toml-tables',
        content: hostsToml(url),
      },
      ...CONFIG_PATHS,
    ],
    restart: 'systemctl restart containerd',
    verify: 'crictl pull docker.io/library/hello-world:latest',
    notes: [
      {
        en: 'For every registry at once: containerd names the registry in `?ns=`.',
        zh: '一次对所有镜像仓库生效：containerd 用 `?ns=` 指明镜像仓库。',
      },
      {
        en: 'It reads `hosts.toml` at each pull, but only if `config.toml` has a `config_path`; without one it pulls from the registries themselves. Restart it only after a change of `config.toml`.',
        zh: '它每次拉取都会读取 `hosts.toml`，但只有 `config.toml` 中设置了 `config_path` 才会读；没有设置时，它直接从镜像仓库拉取。只有改动 `config.toml` 之后才需要重启。',
      },
      {
        en: '`ctr` reads the directory only with `--hosts-dir /etc/containerd/certs.d`.',
        zh: '`ctr` 只有加上 `--hosts-dir /etc/containerd/certs.d` 才会读取这个目录。',
      },
    ],
  }),
};

/** The content of a hosts.toml that sends every pull to this server. */
export function hostsToml(url: string): string {
  return [`[host."${url}"]`, '  capabilities = ["pull", "resolve"]'].join('\n');
}

/** The directory of hosts.toml files is off until `config_path` names it; the name of the table differs by version. */
const CONFIG_PATHS: readonly ClientFile[] = [
  configPath('2', 'io.containerd.cri.v1.images'),
  configPath('1', 'io.containerd.grpc.v1.cri'),
];

function configPath(version: string, plugin: string): ClientFile {
  return {
    path: '/etc/containerd/config.toml',
    where: { en: `containerd ${version}`, zh: `containerd ${version}` },
    format: 'toml',
    merge: 'toml-tables',
    content: [`[plugins."${plugin}".registry]`, '  config_path = "/etc/containerd/certs.d"'].join('\n'),
  };
}
