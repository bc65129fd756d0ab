/**
 * How each client is pointed at this server: files and commands as data, one file per client.
 *
 * It never writes a file and never runs a command; help pages, `entrepot setup` and the documentation show what it returns.
 */
export {
  type ClientFile,
  type ClientInstructions,
  type EditedFile,
  type ForwardHelp,
  isLoopback,
  isSecure,
  LANGUAGES,
  type Language,
  MERGE_NOTES,
  SETUP_CLIENTS,
  type ServerAddress,
  type Setting,
  type SettingValue,
  type SetupChoices,
  type SetupClient,
} from './client.ts';
export { clientNamed } from './clients.ts';
export { CERTS_DIRECTORY, CRI_PLUGINS, configPathFile } from './containerd.ts';
export { describeClients } from './hints.ts';
export { hostsFile } from './hosts-toml.ts';
export { K3S_DIRECTORY, RKE2_DIRECTORY, rancherFiles } from './k3s.ts';
export { NODES_DELETE, nodesUndoManifest } from './kubernetes.ts';
export { containersDirectory } from './podman.ts';
export { type ClientSetup, clientSetups, setupCommand } from './setups.ts';
