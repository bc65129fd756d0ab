import { type ClientDefinition, trustNotes } from './client.ts';
import { containersFiles } from './podman.ts';

/** Source: crio.conf.d(5) and containers-registries.conf(5). */
export const crio: ClientDefinition = {
  name: 'CRI-O',
  setup: 'cri-o',
  signs: { programs: ['crio'], paths: ['/etc/crio'] },
  instructions: (server, choices = {}) => ({
    files: containersFiles(server, {
      ...choices,
      registries: choices.registries ?? ['docker.io', 'ghcr.io', 'registry.k8s.io'],
    }),
    restart: 'systemctl reload crio',
    verify: 'crictl pull docker.io/library/hello-world:latest',
    notes: [
      {
        en: 'For Kubernetes nodes with CRI-O, which reads the files of podman: one pair of tables for each registry.',
        zh: '用于使用 CRI-O 的 Kubernetes 节点。它读取 podman 的文件：每个镜像仓库写一对表。',
      },
      ...trustNotes(server, 'cri-o', `/etc/containers/certs.d/${server.host}/ca.crt`),
    ],
  }),
};
