import type { ClientDefinition } from './client.ts';

/** Source: containerd's docs/hosts.md. */
export const containerd: ClientDefinition = {
  name: 'containerd',
  hint: {
    label: 'containerd',
    line: ({ url }) => `certs.d/_default/hosts.toml: [host."${url}"] with capabilities = ["pull", "resolve"]`,
  },
  instructions: ({ url }) => ({
    files: [
      {
        path: '/etc/containerd/certs.d/_default/hosts.toml',
        format: 'toml',
        merge: 'toml-tables',
        content: [`[host."${url}"]`, '  capabilities = ["pull", "resolve"]'].join('\n'),
      },
    ],
    verify: 'crictl pull docker.io/library/hello-world:latest',
    notes: [
      'For every registry at once: containerd names the registry in ?ns=.',
      'It reads the file at each pull, if config.toml has config_path = "/etc/containerd/certs.d"; restart it only after a change of config.toml.',
    ],
  }),
};
