import type { EditedFile } from './client.ts';

export interface HostsFileOptions {
  /** The directory of all registries, `certs.d`. */
  readonly directory: string;
  /** The registry whose pulls it sends to this server; `_default` is every one without a file of its own. */
  readonly registry: string;
  /** The path of the authority's certificate. @default the authorities of the system */
  readonly ca?: string | undefined;
}

/**
 * The file in which containerd, and Docker with the containerd image store, read the mirrors of a registry at each pull.
 * Hosts are tried in the order of the file, so this server's table goes first. Source: containerd's docs/hosts.md.
 */
export function hostsFile(url: string, { directory, registry, ca }: HostsFileOptions): EditedFile {
  const at = (key: string): readonly string[] => ['host', url, key];
  return {
    path: `${directory}/${registry}/hosts.toml`,
    format: 'toml',
    merge: 'toml-tables',
    live: true,
    settings: [
      { at: at('capabilities'), set: CAPABILITIES, ahead: 'host' },
      ...(ca === undefined ? [] : [{ at: at('ca'), set: ca, ahead: 'host' }]),
    ],
    content: hostsToml(url, ca),
  };
}

const CAPABILITIES = ['pull', 'resolve'];

/** The content of a hosts.toml that sends pulls to this server. */
export function hostsToml(url: string, ca?: string): string {
  return [
    `[host."${url}"]`,
    `  capabilities = [${CAPABILITIES.map((each) => `"${each}"`).join(', ')}]`,
    ...(ca === undefined ? [] : [`  ca = ${JSON.stringify(ca)}`]),
  ].join('\n');
}
