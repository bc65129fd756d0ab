import { buildkit } from './buildkit.ts';
import type { ClientDefinition, SetupClient } from './client.ts';
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

/** The client that `entrepot setup` calls so. */
export function clientNamed(name: SetupClient): ClientDefinition {
  const client = CLIENTS.find(({ setup }) => setup === name);
  if (client === undefined) throw new Error(`No client is set up as ${name}`);
  return client;
}
