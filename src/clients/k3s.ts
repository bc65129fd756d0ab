import type { ClientDefinition } from './client.ts';

/** k3s and RKE2 write the files of their containerd themselves. Source: docs.k3s.io, "Private Registry Configuration". */
export const k3s: ClientDefinition = {
  name: 'k3s',
  hint: { label: 'k3s', line: ({ url }) => `registries.yaml: mirrors: {"*": {endpoint: ["${url}"]}}` },
  instructions: ({ url }) => ({
    files: [
      {
        path: '/etc/rancher/k3s/registries.yaml',
        format: 'yaml',
        merge: 'keys',
        content: ['mirrors:', '  "*":', '    endpoint:', `      - "${url}"`].join('\n'),
      },
    ],
    restart: 'systemctl restart k3s',
    verify: 'k3s crictl pull docker.io/library/hello-world:latest',
    notes: [
      {
        en: 'For every registry at once, on each server and each agent. k3s does not read `/etc/containerd/certs.d`: at its start it writes the files of its containerd from this one.',
        zh: '一次对所有镜像仓库生效，每个 server 和 agent 节点都要写。k3s 不读取 `/etc/containerd/certs.d`：它启动时根据这个文件生成自己的 containerd 配置。',
      },
      {
        en: 'On agents, restart `k3s-agent`. Versions before January 2024 (1.26.13, 1.27.10, 1.28.6, 1.29.1) do not know `"*"`: name each registry there, `docker.io` for example.',
        zh: '在 agent 节点上重启 `k3s-agent`。2024 年 1 月之前的版本（1.26.13、1.27.10、1.28.6、1.29.1）不认识 `"*"`：请逐个写出镜像仓库，例如 `docker.io`。',
      },
      {
        en: 'RKE2 has the same file at `/etc/rancher/rke2/registries.yaml`.',
        zh: 'RKE2 的同一个文件在 `/etc/rancher/rke2/registries.yaml`。',
      },
    ],
  }),
};
