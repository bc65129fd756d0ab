import { createHash } from 'node:crypto';
import type { ClientDefinition, ServerAddress, SetupChoices } from './client.ts';
import { CERTS_DIRECTORY } from './containerd.ts';
import { hostsToml } from './hosts-toml.ts';

/** The manifest, as the working directory has it. */
const MANIFEST = 'entrepot-hosts.yaml';

/** Nodes whose runtime is containerd: a DaemonSet writes the file that the section of containerd has. */
export const kubernetes: ClientDefinition = {
  name: 'kubernetes nodes',
  title: { en: 'Kubernetes nodes', zh: 'Kubernetes 节点' },
  setup: 'kubernetes',
  signs: { programs: ['kubectl', 'kubelet'], paths: ['/etc/kubernetes', '~/.kube/config'] },
  instructions: (server, choices = {}) => ({
    files: [{ path: MANIFEST, format: 'yaml', merge: 'manifest', content: nodesManifest(server, choices) }],
    restart: `kubectl apply -f ${MANIFEST}`,
    verify: 'kubectl run hello --rm -it --restart=Never --image=hello-world',
    notes: [
      {
        en: 'For nodes with containerd; the kubelet itself needs no change.',
        zh: '用于使用 containerd 的节点；kubelet 本身不需要改动。',
      },
      {
        en: 'The manifest writes `/etc/containerd/certs.d/_default/hosts.toml` on every node, new ones included. By hand, write the file of the section containerd.',
        zh: '这个清单在每个节点（包括新节点）上写入 `/etc/containerd/certs.d/_default/hosts.toml`。手工操作时，写 containerd 一节中的文件。',
      },
      {
        en: 'A file that something else wrote stays: the pod of that node then waits in `Init:Error`, and its log says so.',
        zh: '不是它写的文件保持不变：该节点的 Pod 会停在 `Init:Error`，日志中有说明。',
      },
      {
        en: 'containerd reads the file only if `config_path` in its `config.toml` is `/etc/containerd/certs.d`. Some distributions set it, kubeadm does not: set it when a node is made, and restart containerd.',
        zh: '只有 containerd 的 `config.toml` 中 `config_path` 是 `/etc/containerd/certs.d`，它才会读取这个文件。有些发行版已经设置，kubeadm 没有：请在创建节点时设置，并重启 containerd。',
      },
      {
        en: 'The nodes must be able to resolve and reach this host: they do not use the DNS of the cluster.',
        zh: '节点必须能解析并访问本服务的主机名：节点不使用集群的 DNS。',
      },
      {
        en: 'To take it back, apply what `entrepot setup kubernetes --undo` prints, which removes the files from the nodes; deleting the DaemonSet leaves them there.',
        zh: '要撤销，应用 `entrepot setup kubernetes --undo` 输出的清单，它会从节点上删除这些文件；只删除 DaemonSet 会留下它们。',
      },
    ],
  }),
};

/** The first line of the files on the nodes: what has it may be replaced and removed. */
const MARK = '# Written by entrepot.';
const CA_NAME = 'entrepot-ca.crt';

/** The DaemonSet that writes the files of containerd on every node, and the ConfigMap that has them. */
function nodesManifest({ url }: ServerAddress, { registries = ['_default'], ca }: SetupChoices): string {
  const hosts = [MARK, hostsToml(url, ca === undefined ? undefined : `${CERTS_DIRECTORY}/${CA_NAME}`)].join('\n');
  const data = [
    `  hosts.toml: |\n${indented(hosts, 4)}`,
    ...(ca === undefined ? [] : [`  ${CA_NAME}: |\n${indented(ca.trimEnd(), 4)}`]),
  ].join('\n');
  const script = [
    ...(ca === undefined
      ? []
      : [`cp /hosts/${CA_NAME} /certs.d/${CA_NAME}.new`, `mv /certs.d/${CA_NAME}.new /certs.d/${CA_NAME}`]),
    `for registry in ${registries.join(' ')}; do`,
    '  file=/certs.d/$registry/hosts.toml',
    `  if [ -e "$file" ] && ! grep -qxF '${MARK}' "$file"; then`,
    '    echo "$registry/hosts.toml on this node was not written by entrepot, and stays as it is" >&2',
    '    exit 1',
    '  fi',
    '  mkdir -p "/certs.d/$registry"',
    '  cp /hosts/hosts.toml "$file.new"',
    '  mv "$file.new" "$file"',
    'done',
  ].join('\n');
  return `apiVersion: v1
kind: ConfigMap
metadata: {name: entrepot-hosts, namespace: kube-system}
data:
${data}
---
${daemonSet(script, { hosts: true, content: data })}`;
}

/** The manifest that removes from every node what {@link nodesManifest} wrote there. */
export function nodesUndoManifest({ registries = ['_default'] }: Pick<SetupChoices, 'registries'>): string {
  const script = [
    `for registry in ${registries.join(' ')}; do`,
    '  file=/certs.d/$registry/hosts.toml',
    `  if grep -qxF '${MARK}' "$file" 2>/dev/null; then`,
    '    rm "$file"',
    '    rmdir "/certs.d/$registry" 2>/dev/null || true',
    '  fi',
    'done',
    `rm -f /certs.d/${CA_NAME}`,
  ].join('\n');
  return daemonSet(script, { hosts: false, content: '' });
}

/** The command that removes the DaemonSet once it has done its work. */
export const NODES_DELETE = 'kubectl delete daemonset,configmap entrepot-hosts -n kube-system --ignore-not-found';

/** A pod on every node: its first container runs the script as root, on that one directory; its second does nothing. */
function daemonSet(script: string, { hosts, content }: { readonly hosts: boolean; readonly content: string }): string {
  // A change of the files is a change of the pods, which then run again.
  const hash = createHash('sha256').update(content).digest('hex').slice(0, 16);
  return `apiVersion: apps/v1
kind: DaemonSet
metadata: {name: entrepot-hosts, namespace: kube-system}
spec:
  selector:
    matchLabels: {app: entrepot-hosts}
  template:
    metadata:
      labels: {app: entrepot-hosts}
      annotations: {entrepot/content: "${hash}"}
    spec:
      automountServiceAccountToken: false
      nodeSelector: {kubernetes.io/os: linux}
      tolerations:
        - operator: Exists
      initContainers:
        - name: write
          image: docker.io/library/busybox:1.37
          command:
            - sh
            - -ec
            - |
${indented(script, 14)}
          securityContext:
            runAsUser: 0
            allowPrivilegeEscalation: false
            readOnlyRootFilesystem: true
            capabilities: {drop: [ALL]}
          volumeMounts:
            - {name: certs, mountPath: /certs.d}${hosts ? '\n            - {name: hosts, mountPath: /hosts, readOnly: true}' : ''}
      containers:
        - name: wait
          image: registry.k8s.io/pause:3.10
          securityContext:
            runAsUser: 65535
            allowPrivilegeEscalation: false
            readOnlyRootFilesystem: true
            capabilities: {drop: [ALL]}
      volumes:
        - name: certs
          hostPath: {path: ${CERTS_DIRECTORY}, type: DirectoryOrCreate}${hosts ? '\n        - name: hosts\n          configMap: {name: entrepot-hosts}' : ''}`;
}

function indented(text: string, columns: number): string {
  return text.replace(/^(?=.)/gm, ' '.repeat(columns));
}
