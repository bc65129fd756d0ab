import { type ClientDefinition, type ClientFile, type ServerAddress, type SetupChoices, trustNotes } from './client.ts';

/** Where k3s has its files; those of RKE2 are in {@link RKE2_DIRECTORY}. */
export const K3S_DIRECTORY = '/etc/rancher/k3s';
export const RKE2_DIRECTORY = '/etc/rancher/rke2';

/** k3s and RKE2 write the files of their containerd themselves. Source: docs.k3s.io, "Private Registry Configuration". */
export const k3s: ClientDefinition = {
  name: 'k3s',
  setup: 'k3s',
  signs: { programs: ['k3s', 'rke2'], paths: [K3S_DIRECTORY, RKE2_DIRECTORY] },
  hint: { label: 'k3s', line: ({ url }) => `registries.yaml: mirrors: {"*": {endpoint: ["${url}"]}}` },
  instructions: (server, choices = {}) => ({
    files: rancherFiles(server, choices, K3S_DIRECTORY),
    restart: 'systemctl restart k3s',
    verify: 'k3s crictl pull docker.io/library/hello-world:latest',
    notes: [
      {
        en: 'For every registry at once, on each server and each agent.',
        zh: '一次对所有镜像仓库生效，每个 server 和 agent 节点都要写。',
      },
      {
        en: 'k3s does not read `/etc/containerd/certs.d`: at its start it writes the files of its containerd from this one.',
        zh: 'k3s 不读取 `/etc/containerd/certs.d`：它启动时根据这个文件生成自己的 containerd 配置。',
      },
      {
        en: 'A registry with an entry of its own does not use `"*"`: `entrepot setup k3s --registries docker.io`.',
        zh: '有自己条目的镜像仓库不使用 `"*"`：`entrepot setup k3s --registries docker.io`。',
      },
      {
        en: 'On agents, restart `k3s-agent`. Versions before January 2024 (1.26.13, 1.27.10, 1.28.6, 1.29.1) do not know `"*"`: name each registry there, `docker.io` for example.',
        zh: '在 agent 节点上重启 `k3s-agent`。2024 年 1 月之前的版本（1.26.13、1.27.10、1.28.6、1.29.1）不认识 `"*"`：请逐个写出镜像仓库，例如 `docker.io`。',
      },
      {
        en: 'RKE2 has the same file at `/etc/rancher/rke2/registries.yaml`.',
        zh: 'RKE2 的同一个文件在 `/etc/rancher/rke2/registries.yaml`。',
      },
      ...trustNotes(server, 'k3s', `${K3S_DIRECTORY}/entrepot-ca.crt`),
    ],
  }),
};

/** @param directory {@link K3S_DIRECTORY}, or that of RKE2 */
export function rancherFiles(
  { url, host }: ServerAddress,
  { registries = ['*'], ca }: SetupChoices,
  directory: string,
): ClientFile[] {
  const caFile = `${directory}/entrepot-ca.crt`;
  return [
    {
      path: `${directory}/registries.yaml`,
      format: 'yaml',
      merge: 'keys',
      settings: [
        ...registries.map((registry) => ({ at: ['mirrors', registry, 'endpoint'], first: url })),
        ...(ca === undefined ? [] : [{ at: ['configs', host, 'tls', 'ca_file'], set: caFile }]),
      ],
      content: [
        'mirrors:',
        ...registries.flatMap((registry) => [`  "${registry}":`, '    endpoint:', `      - "${url}"`]),
        ...(ca === undefined ? [] : ['configs:', `  "${host}":`, '    tls:', `      ca_file: "${caFile}"`]),
      ].join('\n'),
    },
    ...(ca === undefined
      ? []
      : [{ path: caFile, format: 'pem', merge: 'certificate', content: ca.trimEnd() } as const]),
  ];
}
