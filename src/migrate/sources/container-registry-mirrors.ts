import type { Draft, Found } from '../draft.ts';
import { Fields } from '../fields.ts';
import { noteNewCache, putListen, putLogLevel } from '../options.ts';
import { treeSource } from './source.ts';

/** Container Registry Mirrors (crm): `config.yaml`, `config.yml`, `config.json`. */
export const containerRegistryMirrors = treeSource(
  { program: 'Container Registry Mirrors', files: 'config.yaml or config.json with allowed_hosts' },
  ({ tree }) => {
    const has = (key: string) => tree.entries.has(key);
    return has('allowed_hosts') || has('insecure_tls') || has('mitm') || (has('log_level') && has('listen'));
  },
  ({ tree }, draft) => {
    const root = new Fields(tree, draft);
    const address = root.text('listen');
    if (address !== undefined) putListen(draft, address);
    const why = { origin: root.origin, reason: 'Container Registry Mirrors is a forward proxy' };
    draft.assume(['forward_proxy', 'enabled'], true, why);
    if (address !== undefined && !/^(?:127\.|localhost:|\[::1\])/.test(address.value)) {
      draft.assume(['forward_proxy', 'anonymous'], true, {
        origin: address.origin,
        reason: 'Container Registry Mirrors asks for no password; to ask for one, set user and password instead',
      });
    }
    convertHosts(root.texts('allowed_hosts'), draft);
    const insecure = root.flag('insecure_tls');
    if (insecure?.value === true) draft.put(['transport', 'insecure_skip_verify'], insecure);
    putLogLevel(draft, root.text('log_level'));
    const mitm = root.map('mitm');
    draft.put(['forward_proxy', 'mitm', 'enabled'], mitm?.flag('enabled'));
    draft.put(['forward_proxy', 'mitm', 'ca_cert_file'], mitm?.text('ca_cert_path'));
    draft.put(['forward_proxy', 'mitm', 'ca_key_file'], mitm?.text('ca_key_path'));
    root.loseRest();
    noteNewCache(draft);
  },
);

/** The hosts of registries that have a preset, by the preset. */
const PRESETS: Readonly<Record<string, string>> = {
  'docker.io': 'docker.io',
  'registry-1.docker.io': 'docker.io',
  'index.docker.io': 'docker.io',
  'gcr.io': 'gcr.io',
  'registry.k8s.io': 'registry.k8s.io',
  'ghcr.io': 'ghcr.io',
  'quay.io': 'quay.io',
  'docker.elastic.co': 'docker.elastic.co',
  'public.ecr.aws': 'public.ecr.aws',
  'mcr.microsoft.com': 'mcr.microsoft.com',
  'nvcr.io': 'nvcr.io',
  'registry.gitlab.com': 'registry.gitlab.com',
};

/** A registry with a preset gets it too: a pull also needs the hosts of its tokens and its storage. */
function convertHosts(hosts: readonly Found<string>[], draft: Draft): void {
  for (const { value, origin } of hosts) {
    // Case is ignored in any case, and JavaScript has no such flag in an expression.
    const host = value.trim().replace(/^\(\?i\)/, '');
    draft.assume(['forward_proxy', 'allowed_hosts', { item: host }], host, { origin });
    const preset = PRESETS[host.toLowerCase()];
    if (preset === undefined) continue;
    draft.assume(['forward_proxy', 'presets', { item: preset }], preset, {
      origin,
      reason: `a pull from ${preset} also needs the hosts of its tokens and blobs`,
    });
  }
}
