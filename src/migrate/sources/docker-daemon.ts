import type { Draft, Found } from '../draft.ts';
import { Fields } from '../fields.ts';
import { readUrl, registryAt } from '../known.ts';
import { putUpstream } from '../options.ts';
import { isPlain, putMirrors, putOwn } from './client-mirrors.ts';
import { treeSource } from './source.ts';

/** Keys of daemon.json that are of no other program here. */
const KEYS = [
  'registry-mirrors',
  'insecure-registries',
  'allow-nondistributable-artifacts',
  'data-root',
  'log-driver',
  'storage-driver',
  'exec-opts',
  'live-restore',
];

/** Docker Engine: `daemon.json`. */
export const dockerDaemon = treeSource(
  { program: 'Docker', files: 'daemon.json of Docker with registry-mirrors' },
  ({ syntax, tree }) => syntax !== 'TOML' && KEYS.some((key) => tree.entries.has(key)),
  ({ tree }, draft) => {
    const root = new Fields(tree, draft);
    const mirrors = root.texts('registry-mirrors').map((url) => ({ registry: 'docker.io', url }));
    const insecure = root.texts('insecure-registries');
    const placed = putMirrors(draft, mirrors, { sendsNs: false });
    for (const [{ url }, steps] of placed) {
      const host = readUrl(url.value)?.host;
      const excused = insecure.find(({ value }) => value === host);
      if (excused !== undefined && !isPlain(steps))
        draft.assume([...steps, 'tls', 'insecure_skip_verify'], true, { origin: excused.origin });
    }
    const [first] = placed.keys();
    if (first !== undefined) putOwn(draft, 'docker.io', first.url.origin, 'Docker asks Docker Hub after its mirrors');
    const hosts = new Set([...placed.keys()].map(({ url }) => readUrl(url.value)?.host));
    for (const found of insecure) if (!hosts.has(found.value)) convertInsecure(found, draft);
    convertProxies(root.map('proxies'), draft);
    const rest = root.keys.filter(
      (key) => key !== 'proxies' && !key.endsWith('registries') && key !== 'registry-mirrors',
    );
    for (const key of rest) root.take(key);
    if (rest.length > 0)
      draft.note(`${rest.map((key) => JSON.stringify(key)).join(', ')}: for Docker itself, and stays there`);
    root.loseRest();
  },
);

function convertInsecure(found: Found<string>, draft: Draft): void {
  if (found.value.includes('/')) {
    draft.lose(
      found.origin,
      'a block of addresses is no registry; list the registries in it under registries, with http://',
    );
    return;
  }
  const { name } = registryAt(found.value);
  putUpstream(draft, name, { url: { value: `http://${found.value}`, origin: found.origin } });
  draft.note('Docker tries https without checks, then http; carried over with http://', found.origin);
}

function convertProxies(proxies: Fields | undefined, draft: Draft): void {
  const proxy = proxies?.text('https-proxy') ?? proxies?.text('http-proxy');
  proxies?.take('http-proxy');
  draft.put(['transport', 'outbound_proxy'], proxy);
  proxies?.lose(
    ['no-proxy'],
    'outbound_proxy has no exceptions; set the variables https_proxy and no_proxy for the server instead',
  );
}
