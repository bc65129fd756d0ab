import { writeFile } from 'node:fs/promises';
import {
  clientNamed,
  isLoopback,
  NODES_DELETE,
  nodesUndoManifest,
  type ServerAddress,
} from '../../../clients/index.ts';
import { SetupError } from '../../../setup/index.ts';
import { EXIT } from '../../exit-code.ts';
import { formatJson } from '../../format.ts';
import type { Output } from '../../output.ts';
import type { SetupOptions } from './options.ts';
import { readCertificates, serverAddress } from './server-address.ts';

/** `entrepot setup kubernetes`: prints the manifest that writes the files of the nodes, or removes them. */
export async function setupKubernetes(options: SetupOptions, output: Output): Promise<number> {
  const { registries, undo = false } = options;
  const manifest = `${undo ? nodesUndoManifest({ registries }) : await nodesManifest(options)}\n`;
  if (options.output !== undefined) {
    await writeFile(options.output, manifest).catch((error: Error) => {
      throw new SetupError(`--output ${options.output} cannot be written: ${error.message}.`);
    });
  }
  const file = options.output ?? '-';
  const commands = [
    `kubectl apply -f ${file}`,
    'kubectl rollout status daemonset/entrepot-hosts -n kube-system',
    ...(undo ? [NODES_DELETE] : []),
  ];
  if (options.json === true) output.out(formatJson({ client: 'kubernetes', manifest, commands }));
  else if (options.output === undefined) output.out(manifest);
  output.err(
    `Nothing on this machine was changed. To ${undo ? 'remove the files from the nodes' : 'set up the nodes'}:\n`,
  );
  for (const command of commands) output.err(`  ${command}\n`);
  if (!undo) output.err('containerd reads the files if config_path in its config.toml is /etc/containerd/certs.d.\n');
  return EXIT.ok;
}

async function nodesManifest({ flags, server: named, registries, ca }: SetupOptions): Promise<string> {
  const server = await serverAddress(named, flags);
  checkReachable(server);
  const certificates = ca === undefined ? undefined : await readCertificates(ca);
  const [file] = clientNamed('kubernetes').instructions(server, { registries, ca: certificates })?.files ?? [];
  return file?.content ?? '';
}

function checkReachable(server: ServerAddress): void {
  if (!isLoopback(server)) return;
  throw new SetupError(
    `The nodes of a cluster cannot reach ${server.url}, which each of them takes for itself; name an address of the server with --server URL.`,
  );
}
