import type { HelpAddress } from './address.ts';

/** How one client is pointed at this server. */
export interface ClientSetup {
  readonly client: string;
  /** The file the text belongs into; undefined for commands. */
  readonly file?: string;
  readonly text: string;
  /** What one should know about it, in a sentence or two. */
  readonly note: string;
}

/** A snippet for each client, made of the address the server was asked under. */
export function clientSetups(address: HelpAddress): readonly ClientSetup[] {
  const { host, url, defaultRegistry } = address;
  const secure = url.startsWith('https:');
  const commands = [`docker pull ${host}/ghcr.io/OWNER/IMAGE:TAG`, `docker pull ${host}/OWNER/IMAGE:TAG`];
  return [
    {
      client: 'docker pull',
      text: commands.join('\n'),
      note: `The first names the registry; the second means ${defaultRegistry}. ${dockerInsecureNote(address)}`.trim(),
    },
    {
      client: 'docker daemon',
      file: '/etc/docker/daemon.json',
      text: json({ 'registry-mirrors': [url], ...(dockerNeedsInsecure(address) && { 'insecure-registries': [host] }) }),
      note: 'For Docker Hub images under their own names. Docker asks mirrors for Docker Hub alone; reload it afterwards.',
    },
    {
      client: 'containerd',
      file: '/etc/containerd/certs.d/_default/hosts.toml',
      text: [`[host."${url}"]`, '  capabilities = ["pull", "resolve"]'].join('\n'),
      note: 'For every registry at once: containerd says with ?ns= which one it means. It needs config_path = "/etc/containerd/certs.d", and no restart after that.',
    },
    {
      client: 'podman',
      file: '/etc/containers/registries.conf.d/entrepot.conf',
      text: ['docker.io', 'ghcr.io'].map((registry) => podmanMirror(registry, { host, secure })).join('\n\n'),
      note: 'One pair of tables for each registry. CRI-O, buildah and skopeo read the same file.',
    },
    {
      client: 'skopeo',
      text: `skopeo inspect ${secure ? '' : '--tls-verify=false '}docker://${host}/ghcr.io/OWNER/IMAGE:TAG`,
      note: 'Anything that takes an image name takes one with this host in front.',
    },
  ];
}

function podmanMirror(registry: string, { host, secure }: { host: string; secure: boolean }): string {
  const lines = [
    '[[registry]]',
    `prefix = "${registry}"`,
    `location = "${registry}"`,
    '[[registry.mirror]]',
    `location = "${host}/${registry}"`,
  ];
  if (!secure) lines.push('insecure = true');
  return lines.join('\n');
}

/** Docker takes plain HTTP from loopback by itself, and from elsewhere when told so. */
function dockerNeedsInsecure({ url }: HelpAddress): boolean {
  const { protocol, hostname } = new URL(url);
  return protocol === 'http:' && hostname !== 'localhost' && hostname !== '[::1]' && !hostname.startsWith('127.');
}

function dockerInsecureNote(address: HelpAddress): string {
  return dockerNeedsInsecure(address)
    ? `Without TLS, ${address.host} must stand in insecure-registries of daemon.json.`
    : '';
}

function json(value: unknown): string {
  return JSON.stringify(value, null, 2);
}
