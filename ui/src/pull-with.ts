/** The clients whose command is shown. */
export const TOOLS = ['docker', 'podman', 'nerdctl', 'crane', 'skopeo'] as const;
export type Tool = (typeof TOOLS)[number];

/**
 * The command that pulls an image through this server.
 *
 * @param host as the reader's browser reached it
 * @param plain without TLS: clients other than Docker, which has a setting of its own, are told so
 */
export function pullWith(
  chosen: Tool,
  { image, host, plain }: { readonly image: string; readonly host: string; readonly plain: boolean },
): string {
  const name = `${host}/${image}`;
  switch (chosen) {
    case 'docker':
      return `docker pull ${name}`;
    case 'podman':
      return `podman pull ${plain ? '--tls-verify=false ' : ''}${name}`;
    case 'nerdctl':
      return `nerdctl pull ${plain ? '--insecure-registry ' : ''}${name}`;
    case 'crane':
      return `crane pull ${plain ? '--insecure ' : ''}${name} image.tar`;
    case 'skopeo':
      return `skopeo copy ${plain ? '--src-tls-verify=false ' : ''}docker://${name} oci:image`;
  }
}
