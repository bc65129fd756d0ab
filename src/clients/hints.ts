import type { ListenerAddress } from '../server/index.ts';

/** How clients are pointed at a running server. */
export interface ClientHints {
  /** One line of configuration, or one command, for each client. */
  readonly examples: Readonly<Record<string, string>>;
  /** The page that says more. */
  readonly help: string;
  /** All of it for a terminal. */
  readonly text: string;
}

/** Undefined where the server listens on Unix sockets only, which no client can be pointed at directly. */
export function describeClients(
  listeners: readonly ListenerAddress[],
  publicUrl: string | undefined,
): ClientHints | undefined {
  const listener = listeners.find(({ port, redirectToHttps }) => port !== undefined && !redirectToHttps);
  if (listener === undefined) return undefined;
  const base = publicUrl ?? `${listener.protocol}://${reachable(listener.address)}`;
  const url = base.replace(/\/$/, '');
  const host = new URL(url).host;
  const examples = {
    docker: `docker pull ${host}/ghcr.io/OWNER/IMAGE, or for Docker Hub in daemon.json: {"registry-mirrors": ["${url}"]}`,
    containerd: `certs.d/_default/hosts.toml: [host."${url}"] with capabilities = ["pull", "resolve"]`,
    podman: `registries.conf: [[registry]] prefix = "ghcr.io" with [[registry.mirror]] location = "${host}/ghcr.io"${insecure(url)}`,
    skopeo: `skopeo inspect ${url.startsWith('https') ? '' : '--tls-verify=false '}docker://${host}/alpine`,
  };
  const width = Math.max(...Object.keys(examples).map((client) => client.length));
  const lines = Object.entries(examples).map(([client, line]) => `  ${client.padEnd(width)}  ${line}`);
  const help = `${url}/help`;
  const text = `\nPoint clients at it:\n${lines.join('\n')}\n\nEvery registry and every way of naming an image: ${help}\n\n`;
  return { examples, help, text };
}

/** An address a client on this machine can use: a listener on every interface is reached by loopback. */
function reachable(address: string): string {
  return address.replace(/^(?:\[::\]|0\.0\.0\.0):/, '127.0.0.1:');
}

function insecure(url: string): string {
  return url.startsWith('https') ? '' : ', insecure = true';
}
