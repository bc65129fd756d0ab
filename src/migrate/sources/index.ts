/**
 * The programs whose configuration can be imported, each a file: a document becomes settings and remarks.
 *
 * It never reads a file, contacts a host or runs a program.
 */
import { containerRegistryMirrors } from './container-registry-mirrors.ts';
import { containerdHosts } from './containerd-hosts.ts';
import { containersRegistries } from './containers-registries.ts';
import { containerdConfig, k3s } from './cri-registry.ts';
import { crproxyConfig, crproxyMap, crproxyProgram } from './crproxy.ts';
import { distribution } from './distribution.ts';
import { dockerDaemon } from './docker-daemon.ts';
import { hubproxy } from './hubproxy.ts';
import { mirrorRegistry } from './mirror-registry.ts';
import { mirrorRegistryX } from './mirror-registryx.ts';
import { rewritingMirror } from './rewriting-mirror.ts';
import type { Source } from './source.ts';
import { docxy, wharf } from './wharf.ts';

export type { Source } from './source.ts';

/** In the order in which content is compared with them: the first that matches is taken. */
export const SOURCES: readonly Source[] = [
  rewritingMirror,
  containerRegistryMirrors,
  mirrorRegistry,
  crproxyConfig,
  crproxyProgram,
  wharf,
  docxy,
  mirrorRegistryX,
  distribution,
  hubproxy,
  k3s,
  containerdConfig,
  containerdHosts,
  containersRegistries,
  dockerDaemon,
  // Any map of names to URLs, so the last.
  crproxyMap,
];
