import { isMap } from '../../config/index.ts';
import { type Draft, NO_SETTINGS } from '../draft.ts';
import { Fields } from '../fields.ts';
import { registryAt } from '../known.ts';
import { expectUrl, portAddress, putDuration, putListen, putUpstream } from '../options.ts';
import { treeSource } from './source.ts';

/** hubproxy: `config.toml`. */
export const hubproxy = treeSource(
  { program: 'hubproxy', files: 'config.toml' },
  ({ syntax, tree }) => {
    if (syntax !== 'TOML') return false;
    const registries = tree.entries.get('registries');
    const maps = isMap(registries) ? [...registries.entries.values()] : [];
    return (
      ['rateLimit', 'tokenCache', 'download'].some((key) => tree.entries.has(key)) ||
      maps.some((each) => isMap(each) && (each.entries.has('authHost') || each.entries.has('authType')))
    );
  },
  ({ tree }, draft) => {
    const root = new Fields(tree, draft);
    const server = root.map('server');
    const host = server?.text('host')?.value ?? '0.0.0.0';
    const port = server?.number('port');
    const shown = host.includes(':') ? `[${host}]` : host;
    if (port !== undefined) putListen(draft, portAddress(port, shown));
    else
      putListen(draft, { value: `${shown}:5000`, origin: server?.origin ?? root.origin }, { defaultOf: draft.program });
    server?.lose(['fileSize'], 'files of mirror routes have no largest size');
    server?.lose(['enableH2C'], 'clients are served by HTTP/1.1');
    server?.lose(
      ['enableFrontend'],
      'GET /help shows how to point clients here; there is no search or download of images',
    );
    convertLimits(root.map('rateLimit'), draft);
    root
      .map('security')
      ?.lose(
        ['whiteList', 'blackList'],
        'clients are not told apart by address; a firewall or a reverse proxy can refuse some',
      );
    const access = root.map('access');
    access?.lose(
      ['whiteList', 'blackList'],
      'single images cannot be allowed or refused yet; known_registries: false serves only the registries that are listed',
    );
    draft.put(['transport', 'outbound_proxy'], access?.text('proxy'));
    root.map('download')?.lose(['maxImages'], 'images are not packed for download');
    convertRegistries(root.map('registries'), draft);
    convertCache(root.map('tokenCache'), draft);
    root.loseRest();
    draft.note(
      'hubproxy also fetches any file of GitHub and Hugging Face; here each site needs a route: examples/github.yaml and examples/huggingface.yaml',
    );
  },
);

function convertLimits(limit: Fields | undefined, draft: Draft): void {
  const requests = limit?.number('requestLimit');
  const hours = limit?.number('periodHours')?.value ?? 3;
  if (requests === undefined || requests.value <= 0 || hours <= 0) return;
  const rate = Number((requests.value / (hours * 3600)).toPrecision(4));
  draft.assume(['limits', 'per_client', 'requests_per_second'], rate, {
    origin: requests.origin,
    reason: `${requests.value} requests in ${hours} hours`,
  });
  draft.put(['limits', 'per_client', 'burst'], requests);
}

function convertRegistries(registries: Fields | undefined, draft: Draft): void {
  for (const name of registries?.keys ?? []) {
    const each = registries?.map(name);
    const upstream = each?.text('upstream');
    const realm = each?.text('authHost');
    // The challenge of the registry says how to log in.
    each?.take('authType');
    const enabled = each?.flag('enabled');
    if (each === undefined) continue;
    if (enabled?.value === false || enabled === undefined) {
      draft.lose(
        each.origin,
        registryAt(name).isKnown
          ? 'it is off there; here known registries are served unless known_registries is false'
          : 'it is off there, and not served here either',
      );
      continue;
    }
    const found = upstream ?? { value: name, origin: each.origin };
    const url = expectUrl(draft, found);
    if (url === undefined) continue;
    const place = registryAt(name.toLowerCase());
    if (place.isKnown && url.path === '' && registryAt(url.host).name === place.name) {
      draft.assume(['registries', place.name], NO_SETTINGS, { origin: found.origin });
      continue;
    }
    const steps = putUpstream(draft, place.name, { url: found });
    const host = realm?.value.split('/')[0];
    if (steps !== undefined && realm !== undefined && host !== undefined && host !== url.host)
      draft.assume([...steps, 'token_realms', { item: host }], host, { origin: realm.origin });
  }
}

function convertCache(cache: Fields | undefined, draft: Draft): void {
  const enabled = cache?.flag('enabled');
  const ttl = cache?.duration('defaultTTL');
  if (enabled?.value === false)
    draft.assume(['cache', 'tags'], 'never', { origin: enabled.origin, reason: 'hubproxy caches no manifests' });
  else putDuration(draft, ['cache', 'tags', 'fresh_for'], ttl);
}
