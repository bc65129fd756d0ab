import type { ClientDefinition } from './client.ts';
import { containerd } from './containerd.ts';
import { dockerDaemon } from './docker-daemon.ts';
import { dockerPull } from './docker-pull.ts';
import { forwardAuthority } from './forward-authority.ts';
import { forwardProxy } from './forward-proxy.ts';
import { podman } from './podman.ts';
import { skopeo } from './skopeo.ts';

/** Every client, in the order in which they are shown. */
export const CLIENTS: readonly ClientDefinition[] = [
  dockerPull,
  dockerDaemon,
  containerd,
  podman,
  skopeo,
  forwardProxy,
  ...forwardAuthority,
];
