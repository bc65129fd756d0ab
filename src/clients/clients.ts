import { buildkit } from './buildkit.ts';
import type { ClientDefinition } from './client.ts';
import { containerd } from './containerd.ts';
import { crio } from './crio.ts';
import { dockerDaemon } from './docker-daemon.ts';
import { dockerPull } from './docker-pull.ts';
import { forwardAuthority } from './forward-authority.ts';
import { forwardProxy } from './forward-proxy.ts';
import { k3s } from './k3s.ts';
import { kubernetes } from './kubernetes.ts';
import { podman } from './podman.ts';
import { skopeo } from './skopeo.ts';

/** Every client, in the order in which they are shown. */
export const CLIENTS: readonly ClientDefinition[] = [
  dockerPull,
  dockerDaemon,
  containerd,
  kubernetes,
  k3s,
  crio,
  podman,
  buildkit,
  skopeo,
  forwardProxy,
  ...forwardAuthority,
];
