import { posix } from 'node:path';
import { parseSync } from 'oxc-parser';

/** Which rooms a room may import, always through their `index.ts`. The order is the order of ARCHITECTURE.md. */
export const ROOMS: Readonly<Record<string, readonly string[]>> = {
  lib: [],
  oci: ['lib'],
  telemetry: ['lib', 'oci'],
  config: ['lib', 'oci'],
  net: ['lib', 'telemetry'],
  store: ['lib', 'oci', 'telemetry'],
  upstream: ['lib', 'oci', 'telemetry', 'net'],
  cache: ['lib', 'oci', 'telemetry', 'store'],
  routing: ['lib', 'oci', 'telemetry'],
  access: ['lib', 'oci', 'telemetry', 'store'],
  server: ['lib', 'oci', 'telemetry', 'net', 'routing', 'access', 'cache'],
  check: ['lib', 'oci', 'telemetry', 'net', 'upstream'],
};

/** The files above the rooms; `*` is everything. */
const ABOVE: Readonly<Record<string, readonly string[] | '*'>> = {
  app: '*',
  'config-changes': '*',
  generation: '*',
  'late-parts': '*',
  live: '*',
  reach: '*',
  reload: '*',
  status: '*',
  storage: '*',
  transport: '*',
  operations: '*',
  'check-settings': '*',
  'deferred-upstreams': '*',
  'forward-settings': '*',
  'mirror-settings': '*',
  settings: '*',
  'tls-files': '*',
  cli: '*',
  main: ['cli'],
};

/** Where each outside package may be used: whoever wants to exchange one has one room to change. */
const PACKAGES: Readonly<Record<string, readonly string[]>> = {
  'dns-packet': ['net'],
  pino: ['telemetry'],
  'prom-client': ['telemetry'],
  zod: ['config'],
  yaml: ['config'],
  commander: ['cli'],
  tldts: ['upstream'],
  'node:ffi': ['store'],
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
    const broken = specifier === undefined ? COMPUTED : judge(path, specifier);
    return broken === undefined ? [] : [`${path}:${line}: ${broken}`];
  });
}

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
  const from = roomOf(path);
  const to = roomOf(target);
  if (from === to) return undefined;
  const allowed = ROOMS[from] ?? ABOVE[from];
  if (allowed === undefined) return `is in ${from}, which has no place in the order; give it one in ${HERE}`;
  if (allowed !== '*' && !allowed.includes(to)) {
    const may = allowed.length === 0 ? 'nothing' : allowed.join(', ');
    return `${from} imports ${to}, but may import ${may}; declare what is needed in ${from} and let app.ts introduce the two`;
  }
  if (to in ROOMS && target !== `src/${to}/index.ts`) {
    return `imports ${target}; import it through src/${to}/index.ts, and export it there`;
  }
  return undefined;
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
