import type { ProgramDocument, Word } from '../document.ts';
import { type Draft, type Found, NO_SETTINGS, type Origin } from '../draft.ts';
import { Fields, type MapTree } from '../fields.ts';
import { hasAlias, registryAt, registryByAlias } from '../known.ts';
import { expectUrl, putCacheDir, putDefaultRegistry, putListen, putLogLevel, putUpstream } from '../options.ts';
import { programSource, treeSource } from './source.ts';
import { readFlags, wordFound } from './variables.ts';

const PROGRAM = 'crproxy';

/** crproxy 2026: `crproxy-config.json`. */
export const crproxyConfig = treeSource(
  { program: PROGRAM, files: 'crproxy-config.json' },
  ({ tree }) =>
    ['registryMap', 'defaultRegistry', 'domainSuffix', 'adminPassword', 'cacheDir'].some((key) =>
      tree.entries.has(key),
    ),
  ({ tree }, draft) => {
    const root = new Fields(tree, draft);
    const map = root.map('registryMap');
    if (map !== undefined) convertMap(map, draft);
    convertOptions(
      {
        listen: root.text('listen'),
        domainSuffix: root.text('domainSuffix'),
        defaultRegistry: root.text('defaultRegistry'),
        cacheDir: root.text('cacheDir'),
        logLevel: root.text('logLevel'),
      },
      { draft, origin: root.origin },
    );
    if (root.text('adminPassword') !== undefined) draft.lose(root.originOf('adminPassword'), NO_ADMIN_PAGE);
    root.loseRest();
  },
);

/** crproxy: `registrymap.json`, names with their URLs. */
export const crproxyMap = treeSource(
  { program: PROGRAM, files: 'registrymap.json, names with their URLs' },
  ({ syntax, tree }) => syntax !== 'TOML' && isMap(tree),
  ({ tree }, draft) => convertMap(new Fields(tree, draft), draft),
);

/** crproxy: its command line and its variables, in a unit, a compose file or a shell line. */
export const crproxyProgram = programSource(
  { program: PROGRAM, files: 'flags and variables of crproxy' },
  ({ names, variables, args }) =>
    names.some((name) => name === 'crproxy') ||
    args.some(({ text }) => /^--?(?:domain-suffix|registry-map|default-registry)(?:=|$)/.test(text)) ||
    ['DOMAIN_SUFFIX', 'REGISTRY_MAP', 'DEFAULT_REGISTRY'].some((name) => variables.has(name)) ||
    (variables.has('CACHE_DIR') && variables.has('LISTEN')),
  convertProgram,
);

const NO_ADMIN_PAGE =
  'there is no admin page to protect; `entrepot status` and the control socket belong to the user that runs the server';

function isMap({ entries }: MapTree): boolean {
  const values = [...entries.values()];
  return (
    values.length > 0 &&
    values.every((value) => value.kind === 'scalar' && typeof value.value === 'string') &&
    values.some((value) => value.kind === 'scalar' && /^https?:\/\//i.test(String(value.value)))
  );
}

interface Options {
  readonly listen: Found<string> | undefined;
  readonly domainSuffix: Found<string> | undefined;
  readonly defaultRegistry: Found<string> | undefined;
  readonly cacheDir: Found<string> | undefined;
  readonly logLevel: Found<string> | undefined;
}

function convertOptions(options: Options, { draft, origin }: { readonly draft: Draft; readonly origin: Origin }): void {
  const usual = { value: ':5000', origin };
  if (options.listen === undefined) putListen(draft, usual, { defaultOf: PROGRAM });
  else putListen(draft, options.listen);
  draft.put(['domain_suffix'], options.domainSuffix);
  if (options.defaultRegistry !== undefined) putDefaultRegistry(draft, options.defaultRegistry);
  putLogLevel(draft, options.logLevel);
  if (options.cacheDir === undefined) {
    draft.assume(['cache'], 'off', {
      origin,
      reason: `${PROGRAM} stores nothing without a cache directory`,
      isDefault: true,
    });
    draft.note('the cache is off, as in crproxy without a cache directory. Remove cache: off to keep what is pulled');
    return;
  }
  putCacheDir(draft, options.cacheDir);
  draft.assume(['cache', 'tags'], 'never', {
    origin: options.cacheDir.origin,
    reason: `${PROGRAM} caches no manifests; remove this line to serve tags for ten minutes`,
  });
}

/** Each name is an alias of a known registry, or a registry of its own. */
function convertMap(map: Fields, draft: Draft): void {
  for (const name of map.keys) {
    const found = map.text(name);
    if (found === undefined) continue;
    const url = expectUrl(draft, found);
    if (url === undefined) continue;
    const key = name.toLowerCase();
    const place = registryAt(url.host);
    const isKnown = place.isKnown && url.path === '' && url.username === undefined;
    if (key === 'default') {
      // The flag and the key of the same name come first.
      putDefaultRegistry(draft, found, { isDefault: true });
      continue;
    }
    const { origin } = found;
    if (isKnown) {
      draft.assume(['registries', place.name], NO_SETTINGS, { origin });
      if (!hasAlias(place.name, key) && key !== place.name)
        draft.assume(['registries', place.name, 'aliases', { item: key }], key, { origin });
    } else putUpstream(draft, registryByAlias(key) ?? key, { url: found });
  }
}

const SWITCHES: ReadonlySet<string> = new Set(['help', 'version', 'update']);

function convertProgram({ variables, args, source }: ProgramDocument, draft: Draft): void {
  const { flags, rest } = readFlags(args, SWITCHES);
  /** A flag, else the variable of the units that crproxy comes with. */
  const read = (flag: string, name: string) =>
    wordFound(`-${flag}`, flags.get(flag)) ?? wordFound(name, variables.get(name));
  convertOptions(
    {
      listen: read('listen', 'LISTEN'),
      domainSuffix: read('domain-suffix', 'DOMAIN_SUFFIX'),
      defaultRegistry: read('default-registry', 'DEFAULT_REGISTRY'),
      cacheDir: read('cache-dir', 'CACHE_DIR'),
      logLevel: wordFound('DEBUG', debugOf(variables.get('DEBUG'))) ?? read('log-level', 'LOG_LEVEL'),
    },
    { draft, origin: { source, key: PROGRAM } },
  );
  const map = read('registry-map', 'REGISTRY_MAP');
  if (map !== undefined) draft.put(['registry_map'], map);
  const config = read('config-file', 'CONFIG_FILE');
  if (config !== undefined)
    draft.note(`import ${JSON.stringify(config.value)} too, if it exists: crproxy reads it`, config.origin);
  for (const [name, word] of flags) {
    if (KNOWN_FLAGS.has(name)) continue;
    draft.lose(
      { source: word.source, key: `-${name}` },
      name === 'update' ? 'this program does not replace itself' : 'crproxy has no such flag',
    );
  }
  for (const word of rest) draft.lose({ source: word.source, key: '' }, 'crproxy takes no such argument');
  for (const [name, word] of variables) {
    const origin = { source: word.source, key: name };
    if (name === 'ADMIN_PASSWORD') draft.lose(origin, NO_ADMIN_PAGE);
    else if (/^(?:https?|all|no)_proxy$/i.test(name)) {
      draft.lose(origin, 'the server reads this variable itself: set it in its environment');
    } else if (!KNOWN_VARIABLES.has(name)) draft.lose(origin, 'crproxy has no such variable');
  }
}

function debugOf(word: Word | undefined): Word | undefined {
  return word?.text === '1' ? { ...word, text: 'debug' } : undefined;
}

const KNOWN_FLAGS: ReadonlySet<string> = new Set([
  'listen',
  'domain-suffix',
  'default-registry',
  'cache-dir',
  'log-level',
  'registry-map',
  'config-file',
  'help',
  'version',
]);
const KNOWN_VARIABLES: ReadonlySet<string> = new Set([
  'LISTEN',
  'DOMAIN_SUFFIX',
  'DEFAULT_REGISTRY',
  'CACHE_DIR',
  'LOG_LEVEL',
  'REGISTRY_MAP',
  'CONFIG_FILE',
  'DEBUG',
]);
