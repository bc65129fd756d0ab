/** The commands by which one client pulls a canary, shows what it stored, and removes it again. */
export interface ClientCommands {
  readonly pull: readonly string[];
  /** Prints the digests of the image, among other text. */
  readonly show: readonly string[];
  readonly remove: readonly string[];
}

type CommandsFor = (image: string) => ClientCommands;

const engine =
  (program: string): CommandsFor =>
  (image) => ({
    pull: [program, 'pull', '--quiet', image],
    show: [program, 'image', 'inspect', '--format', '{{json .RepoDigests}}', image],
    remove: [program, 'image', 'rm', image],
  });

const cri =
  (...program: readonly string[]): CommandsFor =>
  (image) => ({
    pull: [...program, 'pull', image],
    show: [...program, 'inspecti', '--output', 'json', image],
    remove: [...program, 'rmi', image],
  });

/** ctr reads hosts.toml only where it is told to, and asks the registry itself: it stands for containerd's own pulls. */
const ctr: CommandsFor = (image) => {
  const images = ['ctr', '--namespace', 'entrepot-doctor', 'images'];
  return {
    pull: [...images, 'pull', '--hosts-dir', '/etc/containerd/certs.d', image],
    show: [...images, 'list', `name==${image}`],
    remove: [...images, 'remove', image],
  };
};

/** The first whose program is installed is used. */
const CLIENTS: Readonly<Record<string, readonly (readonly [program: string, commands: CommandsFor])[]>> = {
  docker: [['docker', engine('docker')]],
  podman: [['podman', engine('podman')]],
  containerd: [
    ['crictl', cri('crictl')],
    ['nerdctl', engine('nerdctl')],
    ['ctr', ctr],
  ],
  'cri-o': [['crictl', cri('crictl')]],
  k3s: [['k3s', cri('k3s', 'crictl')]],
};

/**
 * The commands of a client; undefined where it pulls only as part of something larger (a build, a pod), or has no program
 * here.
 */
export function commandsOf(
  client: string,
  image: string,
  hasProgram: (name: string) => boolean,
): ClientCommands | undefined {
  return CLIENTS[client]?.find(([program]) => hasProgram(program))?.[1](image);
}

/** How a person makes the client pull it, in a shell. */
export function manualPull(client: string, image: string, commands: ClientCommands | undefined): string {
  if (commands !== undefined) return commands.pull.join(' ');
  if (client === 'buildkit') return `echo FROM ${image} | docker buildx build --pull -`;
  return `kubectl run entrepot-canary --image=${image} --restart=Never   # on a node of this server; then delete the pod`;
}
