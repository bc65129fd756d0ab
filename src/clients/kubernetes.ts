import type { ClientDefinition } from './client.ts';
import { hostsToml } from './containerd.ts';

/** Nodes whose runtime is containerd: a DaemonSet writes the file that the section of containerd has. */
export const kubernetes: ClientDefinition = {
  name: 'kubernetes nodes',
  title: { en: 'Kubernetes nodes', zh: 'Kubernetes 节点' },
  instructions: ({ url }) => ({
    files: [{ path: 'entrepot-hosts.yaml', format: 'yaml', merge: 'manifest', content: daemonSet(url) }],
    restart: 'kubectl apply -f entrepot-hosts.yaml',
    verify: 'kubectl run hello --rm -it --restart=Never --image=hello-world',
    notes: [
      {
        en: 'For nodes with containerd; the kubelet itself needs no change. The manifest writes `/etc/containerd/certs.d/_default/hosts.toml` on every node, new ones included. By hand, write the file of the section containerd.',
        zh: '用于使用 containerd 的节点；kubelet 本身不需要改动。这个清单在每个节点（包括新节点）上写入 `/etc/containerd/certs.d/_default/hosts.toml`。手工操作时，写 containerd 一节中的文件。',
      },
      {
        en: 'containerd reads the file only if `config_path` in its `config.toml` is `/etc/containerd/certs.d`. Some distributions set it, kubeadm does not: set it when a node is made, and restart containerd.',
        zh: '只有 containerd 的 `config.toml` 中 `config_path` 是 `/etc/containerd/certs.d`，它才会读取这个文件。有些发行版已经设置，kubeadm 没有：请在创建节点时设置，并重启 containerd。',
      },
      {
        en: 'The nodes must be able to resolve and reach this host: they do not use the DNS of the cluster.',
        zh: '节点必须能解析并访问本服务的主机名：节点不使用集群的 DNS。',
      },
    ],
  }),
};

function daemonSet(url: string): string {
  const hosts = hostsToml(url).split('\n');
  return `apiVersion: apps/v1
kind: DaemonSet
metadata:
  name: entrepot-hosts
  namespace: kube-system
spec:
  selector:
    matchLabels: {app: entrepot-hosts}
  template:
    metadata:
      labels: {app: entrepot-hosts}
    spec:
      tolerations:
        - operator: Exists
      containers:
        - name: hosts
          image: docker.io/library/busybox:1.37
          command:
            - sh
            - -ec
            - |
              mkdir -p /certs.d/_default
              cat > /certs.d/_default/hosts.toml.new <<'END'
${hosts.map((line) => `              ${line}`).join('\n')}
              END
              mv /certs.d/_default/hosts.toml.new /certs.d/_default/hosts.toml
              trap 'exit 0' TERM
              while :; do sleep 3600 & wait; done
          volumeMounts:
            - {name: certs, mountPath: /certs.d}
      volumes:
        - name: certs
          hostPath: {path: /etc/containerd/certs.d, type: DirectoryOrCreate}`;
}
