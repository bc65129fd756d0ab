import { posix } from 'node:path';
import { parseSync } from 'oxc-parser';

/** Which rooms a room may import, always through their `index.ts`. The order is the order of ARCHITECTURE.md. */
export const ROOMS: Readonly<Record<string, readonly string[]>> = {
  lib: [],
  oci: ['lib'],
  'image-lists': [],
  telemetry: ['lib', 'oci'],
  config: ['lib', 'oci'],
  net: ['lib', 'telemetry'],
  store: ['lib', 'oci', 'telemetry'],
  access: ['lib', 'oci', 'telemetry', 'store'],
  routing: ['lib', 'oci', 'telemetry'],
  upstream: ['lib', 'oci', 'telemetry', 'net'],
  cache: ['lib', 'oci', 'telemetry', 'store'],
  hosting: ['lib', 'oci', 'telemetry', 'store', 'cache'],
  pulls: ['lib', 'oci', 'telemetry', 'store'],
  inventory: ['lib', 'oci', 'telemetry', 'store', 'cache', 'hosting'],
  jobs: ['lib', 'oci', 'telemetry'],
  warm: ['lib', 'oci', 'telemetry', 'store', 'cache', 'jobs'],
  copy: ['lib', 'oci', 'telemetry', 'cache', 'hosting', 'jobs'],
  schedules: ['telemetry'],
  bundle: ['lib', 'oci', 'telemetry', 'store', 'cache'],
  backup: ['lib', 'oci', 'store'],
  server: ['lib', 'oci', 'telemetry', 'access'],
  acme: ['lib', 'oci', 'telemetry', 'net', 'server'],
  webhooks: ['lib', 'oci', 'telemetry', 'net', 'store'],
  clients: ['lib', 'oci', 'telemetry', 'server'],
  setup: ['clients'],
  web: ['lib', 'oci', 'telemetry', 'routing', 'server', 'clients'],
  registry: ['lib', 'oci', 'telemetry', 'routing', 'access', 'cache', 'hosting', 'server'],
  sites: ['lib', 'oci', 'telemetry', 'net', 'access', 'upstream', 'cache', 'server'],
  forward: ['lib', 'oci', 'telemetry', 'net', 'access', 'server'],
  canary: ['lib', 'oci', 'telemetry', 'routing', 'access', 'server'],
  check: ['lib', 'oci', 'telemetry', 'net', 'upstream'],
  admin: ['lib', 'oci', 'telemetry', 'config', 'store', 'routing', 'access', 'cache', 'hosting', 'server'],
  api: ['lib', 'oci', 'telemetry', 'access', 'server', 'admin'],
  doctor: ['lib', 'oci', 'telemetry', 'net', 'store', 'cache', 'canary', 'check', 'admin'],
  app: [
    'lib',
    'oci',
    'telemetry',
    'config',
    'net',
    'store',
    'access',
    'routing',
    'upstream',
    'cache',
    'hosting',
    'server',
    'acme',
    'webhooks',
    'clients',
    'web',
    'registry',
    'sites',
    'forward',
    'canary',
    'check',
    'admin',
    'pulls',
    'inventory',
    'jobs',
    'warm',
    'copy',
    'bundle',
    'schedules',
    'api',
  ],
  migrate: ['lib', 'oci', 'config', 'routing'],
  cli: [
    'lib',
    'oci',
    'telemetry',
    'config',
    'store',
    'routing',
    'cache',
    'hosting',
    'backup',
    'server',
    'clients',
    'setup',
    'forward',
    'check',
    'admin',
    'doctor',
    'app',
    'migrate',
    'image-lists',
    'bundle',
  ],
};

/**
 * Rooms within rooms: which of its siblings each may import. Loose files of a room may import all of its own rooms; a room
 * may import the loose files beside it, which is how siblings share what belongs to neither.
 */
export const INNER_ROOMS: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>> = {
  app: { settings: [], operating: ['settings'] },
  telemetry: { tracing: [] },
  cache: {
    metadata: [],
    revalidation: [],
    integrity: ['metadata'],
    transfer: ['integrity'],
    registry: ['metadata', 'revalidation', 'integrity', 'transfer'],
    url: ['metadata', 'revalidation', 'integrity', 'transfer'],
    eviction: ['metadata', 'revalidation', 'integrity'],
    visibility: ['revalidation'],
  },
  'cache/transfer': { segments: [], partial: ['segments'] },
  cli: { commands: [] },
  'cli/commands': {
    server: [],
    pulls: [],
    config: ['carry'],
    cache: [],
    clients: [],
    access: [],
    webhooks: [],
    hosted: [],
    carry: [],
  },
  config: { schema: [], read: ['schema'], show: ['schema', 'read'] },
  'config/schema': { schedules: [] },
  'config/read': { webhooks: [] },
  forward: { authority: [] },
  migrate: { syntax: [], sources: [] },
  net: { head: [], dial: ['head'], http: ['head', 'dial'], dns: ['dial', 'http'] },
  setup: { edit: [], plan: ['edit'] },
  access: { observe: [] },
  admin: { control: [] },
  api: { sessions: [], events: [], document: [] },
  server: { exchange: [], limits: ['exchange'], tls: [], listener: ['exchange', 'tls'] },
  registry: { pushed: [] },
  hosting: { content: [], uploads: [], collection: [], layout: [] },
  store: {
    directory: [],
    blobs: ['directory'],
    metadata: ['directory'],
    access: ['directory'],
    observations: [],
    pulls: [],
    webhooks: [],
    hosted: ['metadata', 'directory'],
  },
  upstream: { auth: [], health: [], redirects: [], api: ['redirects'], plugin: [], strategy: ['plugin'] },
};

/** The files above the rooms. */
const ABOVE: Readonly<Record<string, readonly string[]>> = { main: ['cli'] };

/** Where each outside package may be used: to exchange one, one room is changed. */
const PACKAGES: Readonly<Record<string, readonly string[]>> = {
  bcryptjs: ['access'],
  'dns-packet': ['net'],
  pino: ['telemetry'],
  'prom-client': ['telemetry'],
  zod: ['config', 'admin', 'api'],
  'smol-toml': ['setup', 'migrate'],
  yaml: ['config', 'setup', 'image-lists'],
  commander: ['cli'],
  croner: ['schedules'],
  tldts: ['upstream'],
  // The page of the console, as the build leaves it: loaded when it is asked for.
  '#console-assets': ['web'],
  'node:ffi': ['store'],
  'node:sea': ['lib'],
  'node:sqlite': ['store'],
};

export interface ImportedModule {
  readonly line: number;
  /** Undefined where it is computed at run time. */
  readonly specifier: string | undefined;
}

/** Every import, export-from and `import()` of a file, types included. */
export function readImports(path: string, source: string): ImportedModule[] {
  const { module, errors } = parseSync(path, source);
  if (errors.length > 0) throw new SyntaxError(`Cannot parse ${path}: ${errors[0]?.message}`);
  const spans = [
    ...module.staticImports.map((each) => each.moduleRequest),
    ...module.staticExports.flatMap((each) => each.entries.map((entry) => entry.moduleRequest)),
    ...module.dynamicImports.map((each) => each.moduleRequest),
  ];
  const found = new Map<number, ImportedModule>();
  for (const span of spans) {
    if (span === null) continue;
    const text = source.slice(span.start, span.end);
    const specifier = /^(['"`])([^'"`$]*)\1$/.exec(text)?.[2];
    found.set(span.start, { line: lineAt(source, span.start), specifier });
  }
  return [...found.values()];
}

/** What is loaded whenever a file is: its imports and exports-from that are not of types alone, and are not put off. */
export function loadedWith(path: string, source: string): string[] {
  const { module } = parseSync(path, source);
  const imports = module.staticImports
    .filter(({ entries }) => entries.length === 0 || entries.some(({ isType }) => !isType))
    .map(({ moduleRequest }) => moduleRequest.value);
  const exports = module.staticExports
    .flatMap(({ entries }) => entries)
    .filter(({ isType, moduleRequest }) => !isType && moduleRequest !== null)
    .map(({ moduleRequest }) => moduleRequest?.value ?? '');
  return [...new Set([...imports, ...exports])].map((specifier) =>
    specifier.startsWith('.') ? posix.join(posix.dirname(path), specifier) : specifier,
  );
}

/** What the imports of a file break, as `file:line: what; remedy`. Paths are relative to the repository. */
export function brokenImportRules(path: string, source: string): string[] {
  return readImports(path, source).flatMap(({ line, specifier }) => {
    const computed = COMPUTES.has(path) ? undefined : COMPUTED;
    const broken = specifier === undefined ? computed : judge(path, specifier);
    return broken === undefined ? [] : [`${path}:${line}: ${broken}`];
  });
}

/** Files that import what the operator names: a module outside the program. */
const COMPUTES: ReadonlySet<string> = new Set(['src/upstream/plugin/routing-worker.ts']);

const COMPUTED = 'imports a computed path, which cannot be checked; write the path out';

function judge(path: string, specifier: string): string | undefined {
  if (!specifier.startsWith('.')) return isTest(path) ? undefined : judgePackage(path, specifier);
  const target = posix.join(posix.dirname(path), specifier);
  if (target.startsWith('dist/') || target.startsWith('lib/')) {
    return `imports ${target}, which is built; import the source under src/`;
  }
  if (isTest(path)) return undefined;
  if (isTest(target)) return `imports ${target}; what is shipped cannot depend on tests`;
  if (!target.startsWith('src/')) {
    return target === 'package.json'
      ? undefined
      : `imports ${target}, which is not under src/; move what is needed there`;
  }
  return judgeRoom(path, target);
}

function judgeRoom(path: string, target: string): string | undefined {
  const from = roomsOf(path);
  const to = roomsOf(target);
  const shared = sharedLength(from, to);
  const [room = ''] = from;
  const known = ROOMS[room] ?? ABOVE[room];
  if (known === undefined) return `is in ${room}, which has no place in the order; give it one in ${HERE}`;
  const outer = from.slice(0, shared).join('/');
  const mine = from[shared];
  const theirs = to[shared];
  // A loose file beside the importer, or of a room around it.
  if (theirs === undefined) return undefined;
  if (shared === 0 && !known.includes(theirs)) return refused(room, { target: theirs, allowed: known });
  const siblings = INNER_ROOMS[outer];
  if (shared > 0 && siblings?.[theirs] === undefined) {
    return `imports ${outer}/${theirs}, which has no place in the order; give it one in ${HERE}`;
  }
  if (shared > 0 && mine !== undefined) {
    const allowed = siblings?.[mine];
    if (allowed === undefined) return `is in ${outer}/${mine}, which has no place in the order; give it one in ${HERE}`;
    if (!allowed.includes(theirs)) return refused(`${outer}/${mine}`, { target: theirs, allowed });
  }
  const door = `src/${to.slice(0, shared + 1).join('/')}/index.ts`;
  return target === door ? undefined : `imports ${target}; import it through ${door}, and export it there`;
}

function refused(
  room: string,
  { target, allowed }: { readonly target: string; readonly allowed: readonly string[] },
): string {
  const may = allowed.length === 0 ? 'nothing' : allowed.join(', ');
  return `${room} imports ${target}, but may import ${may}; declare what is needed in ${room} and let app/ introduce the two`;
}

/** The rooms a file is in, outermost first: `cache`, `registry` of `src/cache/registry/tags.ts`. */
function roomsOf(path: string): readonly string[] {
  const parts = path.split('/').slice(1);
  return parts.length === 1 ? parts.map((name) => name.replace(/\.ts$/, '')) : parts.slice(0, -1);
}

function sharedLength(one: readonly string[], other: readonly string[]): number {
  const end = one.findIndex((name, at) => name !== other[at]);
  return end === -1 ? one.length : end;
}

/**
 * Files that import each other in a circle, each circle once, in an order in which every file imports the next.
 *
 * @param imports the files that each file imports, types included
 */
export function findCircles(imports: ReadonlyMap<string, readonly string[]>): readonly (readonly string[])[] {
  const circles: (readonly string[])[] = [];
  const done = new Set<string>();
  const way: string[] = [];
  const visit = (file: string): void => {
    const start = way.indexOf(file);
    if (start !== -1) {
      circles.push(way.slice(start));
      return;
    }
    if (done.has(file)) return;
    way.push(file);
    for (const next of imports.get(file) ?? []) visit(next);
    way.pop();
    done.add(file);
  };
  for (const file of imports.keys()) visit(file);
  return circles;
}

/** The files of this repository that a file imports, types and `import()` included. */
export function importedFiles(path: string, source: string): readonly string[] {
  return readImports(path, source).flatMap(({ specifier }) =>
    specifier?.startsWith('.') === true ? [posix.join(posix.dirname(path), specifier)] : [],
  );
}

function judgePackage(path: string, specifier: string): string | undefined {
  const name = specifier.startsWith('@') ? specifier.split('/').slice(0, 2).join('/') : (specifier.split('/')[0] ?? '');
  const rooms = PACKAGES[specifier] ?? PACKAGES[name];
  if (rooms === undefined) {
    return specifier.startsWith('node:') ? undefined : `imports ${name}, which has no room; give it one in ${HERE}`;
  }
  const room = roomOf(path);
  return rooms.includes(room)
    ? undefined
    : `imports ${name}, which belongs to ${rooms.join(', ')}; use what that room exports`;
}

const HERE = 'test/support/import-rules.ts';

/** The room of a file under src/; a file directly there is its own. */
function roomOf(path: string): string {
  return (path.split('/')[1] ?? '').replace(/\.ts$/, '');
}

function isTest(path: string): boolean {
  return path.endsWith('.test.ts') || path.startsWith('test/');
}

export function lineAt(source: string, offset: number): number {
  return source.slice(0, offset).split('\n').length;
}
