import { isMap } from '../../config/index.ts';
import type { Draft, Found } from '../draft.ts';
import { Fields, type MapTree, type Naming } from '../fields.ts';
import { registryAt } from '../known.ts';
import {
  expectUrl,
  putCacheDir,
  putCredentials,
  putDuration,
  putListen,
  putLogLevel,
  putOpenRules,
  putPublicUrl,
  putUpstream,
} from '../options.ts';
import { overridableSource } from './source.ts';

const PROGRAM = 'distribution';
/** The registry of images that are pushed. */
const OWN = 'apps';

/** The registry of the distribution project (`registry:2`, `registry:3`): `config.yml`, and `REGISTRY_…` variables over it. */
export const distribution = overridableSource(
  { program: PROGRAM, files: 'config.yml of registry:2 and registry:3, and REGISTRY_… variables' },
  {
    isFile({ syntax, tree }) {
      if (syntax === 'TOML') return false;
      const proxy = tree.entries.get('proxy');
      if (isMap(proxy) && proxy.entries.has('remoteurl')) return true;
      return tree.entries.has('version') && ['storage', 'http'].some((key) => tree.entries.has(key));
    },
    isProgram: ({ variables }) => variables.has('REGISTRY_PROXY_REMOTEURL'),
    prefix: 'REGISTRY_',
  },
  convert,
);

function convert(tree: MapTree, draft: Draft, naming: Naming): void {
  const root = new Fields(tree, draft, { naming });
  root.take('version');
  const guard = root.has('auth') ? 'auth' : undefined;
  convertHttp(root.map('http') ?? new Fields({ ...tree, entries: new Map() }, draft, { naming }), draft, guard);
  const proxy = root.map('proxy');
  if (proxy === undefined) {
    const why = { origin: root.origin, reason: 'it has no proxy: images are pushed to it' };
    draft.assume(['registries', OWN, 'hosted'], true, why);
    draft.assume(['default_registry'], OWN, why);
    draft.note(
      'its images are not carried over: copy them while both run, such as with `skopeo sync --all --src docker --dest docker OLD:5000/app NEW:5000`. A push needs a login and a rule of access.rules here: docs/hosting.md',
      root.origin,
    );
  } else convertProxy(proxy, draft, { isOpen: guard === undefined });
  convertStorage(root.map('storage'), draft, { isProxy: proxy !== undefined });
  convertLog(root, draft);
  root.lose(
    ['auth'],
    'it listens on this machine only until access has rules: access.htpasswd takes the file of users (bcrypt), see docs/access.md',
  );
  root.lose(
    ['notifications'],
    'webhooks have the same form and report what is pushed to hosted repositories, and no pulls: name the endpoints under webhooks, see docs/webhooks.md',
  );
  root.lose(['redis'], 'nothing is kept in Redis: the cache has its own database');
  root.lose(['health'], 'GET /healthz and /readyz answer without settings');
  root.lose(
    ['middleware'],
    'there is no middleware; delivery: redirect of a registry sends clients to the upstream for blobs',
  );
  root.lose(
    ['catalog', 'tags', 'validation', 'compatibility', 'policy'],
    'has no meaning here: of what is mirrored the upstream decides',
  );
  root.loseRest();
}

function convertProxy(proxy: Fields, draft: Draft, { isOpen }: { readonly isOpen: boolean }): void {
  const url = proxy.text('remoteurl');
  const credentials = { username: proxy.text('username'), password: proxy.text('password') };
  const exec = proxy.map('exec');
  const command = exec?.text('command');
  exec?.lose(['lifetime'], 'a helper is asked again when its credential fails');
  proxy.lose(
    ['ttl', 'cache-write-timeout'],
    'content is not removed by age: cache.max_size bounds it, and cache.tags.fresh_for says how long a tag is served before it is revalidated',
  );
  if (url === undefined) {
    draft.lose(proxy.origin, 'it has no remoteurl, so there is nothing to pull from');
    return;
  }
  const read = expectUrl(draft, url);
  if (read === undefined) return;
  const { name } = registryAt(read.host);
  const steps = putUpstream(draft, name, { url });
  draft.assume(['default_registry'], name, { origin: url.origin, reason: 'names without a registry mean this one' });
  if (steps === undefined) return;
  putCredentials(draft, steps, credentials);
  const used = credentials.username ?? command;
  if (isOpen && used !== undefined) putOpenRules(draft, name, used);
  if (command === undefined) return;
  const helper = /^(?:\S*\/)?docker-credential-([A-Za-z0-9._-]+)$/.exec(command.value)?.[1];
  if (helper === undefined)
    draft.lose(
      command.origin,
      'only programs called docker-credential-NAME are run; write credentials: {helper: NAME}',
    );
  else draft.assume([...steps, 'credentials', 'helper'], helper, { origin: command.origin });
}

/** The directory of a registry with images of its own is left alone. */
function convertStorage(storage: Fields | undefined, draft: Draft, { isProxy }: { readonly isProxy: boolean }): void {
  const filesystem = storage?.map('filesystem');
  const root = filesystem?.text('rootdirectory');
  filesystem?.lose(['maxthreads'], 'the number of threads is not set');
  if (root !== undefined && isProxy) putCacheDir(draft, root);
  else if (root !== undefined) draft.lose(root.origin, 'the images in it belong to that registry');
  storage?.lose(['s3', 'gcs', 'azure', 'swift', 'oss', 'inmemory'], 'the cache is a directory: set cache.dir');
  storage?.lose(
    ['delete', 'redirect', 'cache', 'maintenance', 'tag'],
    'has no meaning here: the cache maintains itself (cache.max_size, cache.min_free)',
  );
}

/** @param guard what admitted clients there, and cannot be carried over */
function convertHttp(http: Fields, draft: Draft, guard: string | undefined): void {
  const tls = http.map('tls');
  const cert = tls?.text('certificate');
  const key = tls?.text('key');
  const demand = tls?.has('clientcas') === true ? 'http.tls.clientcas' : guard;
  const written = http.text('addr') ?? { value: ':5000', origin: http.origin };
  const isUnix = http.text('net')?.value === 'unix';
  const address = isUnix ? { ...written, value: `unix:${written.value}` } : written;
  const files = { cert, key };
  if (demand === undefined || isUnix) {
    const isGiven = http.has('addr');
    putListen(draft, address, { ...files, ...(isGiven ? {} : { defaultOf: PROGRAM }) });
  } else {
    const reason = `on this machine only, because ${demand} could not be carried over`;
    putListen(draft, onThisMachine(address), { ...files, reason });
  }
  putPublicUrl(draft, http.text('host'));
  putDuration(draft, ['timeouts', 'shutdown_timeout'], http.duration('draintimeout', { numbersAre: 'nanoseconds' }));
  const prefix = http.text('prefix');
  if (prefix !== undefined && prefix.value !== '/')
    draft.lose(prefix.origin, 'clients only find /v2/ at the root of a host; let a reverse proxy remove the prefix');
  tls?.lose(
    ['clientcas', 'clientauth'],
    'client certificates are not asked for yet; let a reverse proxy do so, and listen on 127.0.0.1',
  );
  tls?.lose(
    ['letsencrypt'],
    'there is no ACME yet; name the files under listen[].tls, which are read again when they change, or put Caddy in front',
  );
  tls?.lose(['minimumtls', 'ciphersuites'], 'TLS 1.2 is the least, with the ciphers of Node');
  http.lose(['debug'], 'there is no second listener: GET /metrics is on every listener');
  http.lose(['headers'], 'responses have no other headers; let a reverse proxy add them');
  http.lose(['secret'], 'not needed: no upload has a state to sign');
  http.lose(['relativeurls'], 'addresses in responses are made of the host that the client used, or of public_url');
  http.lose(['http2', 'h2c'], 'clients are served by HTTP/1.1; a reverse proxy can speak HTTP/2 to them');
}

function onThisMachine({ value, origin }: Found<string>): Found<string> {
  return { value: `127.0.0.1:${/:(\d+)$/.exec(value)?.[1] ?? '5000'}`, origin };
}

function convertLog(root: Fields, draft: Draft): void {
  const log = root.map('log');
  const old = root.text('loglevel');
  putLogLevel(draft, log?.text('level') ?? old);
  const formatter = log?.text('formatter');
  const format = { text: 'console', json: 'json', logstash: 'json' }[formatter?.value ?? ''];
  if (formatter !== undefined && format === undefined)
    draft.lose(formatter.origin, 'log.format is auto, json or console');
  else if (formatter !== undefined && format !== undefined)
    draft.assume(['log', 'format'], format, { origin: formatter.origin });
  const access = log?.map('accesslog')?.flag('disabled');
  if (access !== undefined) draft.assume(['log', 'access'], !access.value, { origin: access.origin });
  log?.lose(['fields', 'hooks', 'reportcaller'], 'the lines of the log have the fields of docs/observing.md');
}
