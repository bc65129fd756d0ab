import { isMap } from '../../config/index.ts';
import type { Draft } from '../draft.ts';
import { Fields, type MapTree, type Naming } from '../fields.ts';
import {
  noteNewCache,
  portAddress,
  putCredentials,
  putHeaders,
  putListen,
  putLogLevel,
  putOpenRules,
  putUpstream,
} from '../options.ts';
import { overridableSource } from './source.ts';

const PROGRAM = 'Mirror Registry';

/** Mirror Registry: `config.yaml`, and `MIRROR_…` variables over it. */
export const mirrorRegistry = overridableSource(
  { program: PROGRAM, files: 'config.yaml with registry.hot and registry.cold, and MIRROR_… variables' },
  {
    isFile: ({ syntax, tree }) => syntax !== 'TOML' && isMirrorRegistry(tree),
    isProgram: ({ variables }) =>
      [...variables.keys()].some((name) => /^MIRROR_(?:SERVER|REGISTRY|LOGGING)_/.test(name)),
    prefix: 'MIRROR_',
    // Names of headers have dashes, which stand as underscores in a variable.
    isSplit: (path) => path.length <= 3 || path[2] !== 'headers',
  },
  convert,
);

function isMirrorRegistry(tree: MapTree): boolean {
  const registry = tree.entries.get('registry');
  if (isMap(registry)) return registry.entries.has('hot') || registry.entries.has('cold');
  const server = tree.entries.get('server');
  return isMap(server) && server.entries.has('port') && tree.entries.has('logging');
}

function convert(tree: MapTree, draft: Draft, naming: Naming): void {
  const root = new Fields(tree, draft, { naming });
  const port = root.map('server')?.number('port');
  if (port !== undefined) putListen(draft, portAddress(port));
  else putListen(draft, portAddress({ value: 5000, origin: root.origin }), { defaultOf: PROGRAM });
  const registry = root.map('registry');
  for (const place of ['hot', 'cold']) {
    const backend = registry?.map(place);
    if (backend !== undefined) convertBackend(backend, place, draft);
  }
  const logging = root.map('logging');
  putLogLevel(draft, logging?.text('level'));
  draft.put(['log', 'format'], logging?.text('format'));
  root.loseRest();
  if (registry === undefined) return;
  draft.assume(['default_registry'], REGISTRY, {
    origin: registry.origin,
    reason: 'names without a registry mean this one',
  });
  draft.assume(['registries', REGISTRY, 'delivery'], 'redirect', {
    origin: registry.origin,
    reason: `${PROGRAM} answers blobs with a redirect; remove this line to stream and cache them`,
  });
  noteNewCache(draft);
}

/** The name of the registry that both backends are copies of. */
const REGISTRY = 'apps';

function convertBackend(backend: Fields, place: string, draft: Draft): void {
  const url = backend.text('url');
  const credentials = { username: backend.text('username'), password: backend.text('password') };
  const headers = backend.map('headers');
  if (url === undefined) {
    draft.lose(backend.origin, 'it has no url, so there is nothing to pull from');
    return;
  }
  const steps = putUpstream(draft, REGISTRY, { url });
  if (steps === undefined) return;
  draft.assume([...steps, 'name'], place, { origin: backend.origin });
  putCredentials(draft, steps, credentials);
  if (credentials.username !== undefined) putOpenRules(draft, REGISTRY, credentials.username);
  putHeaders(draft, steps, headers);
}
