import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, extname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import type { BuildOptions, Plugin } from 'esbuild';
import { keylessTexts, namesToShorten, readTexts, ShortNames } from './console-words.ts';

// The page of the console (ui/), made into one module that the program loads when the page is asked for.

/** Gzipped bytes of all files, those of every language included. It opens at once over a slow line. */
const MAX_BYTES = 60_000;

/** A custom property of a style sheet, where it is set or used. */
const PROPERTY = /(?<![\w-])--[a-z][\w-]*/g;

type PageOptions = BuildOptions & { write: false; metafile: true };
type Build = (options: PageOptions) => Promise<{
  readonly outputFiles: readonly { readonly path: string; readonly contents: Uint8Array }[];
  readonly metafile: { readonly inputs: Readonly<Record<string, unknown>> };
}>;

/**
 * Bundles ui/src/ into ui/built/assets.js, the module behind `#console-assets`.
 *
 * @returns the files that went into it, and the gzipped bytes of all files
 * @throws {Error} where the page is larger than it may be
 */
export async function buildConsole(
  root: string,
  build: Build,
): Promise<{ readonly inputs: readonly string[]; readonly bytes: number }> {
  const texts = await readTexts(join(root, 'ui/src/words'));
  // Which modules there are, the bundler says: it runs twice, in some tenths of a second.
  const { metafile } = await build(
    optionsFor(root, { texts, names: new ShortNames(new Set()), properties: new Map() }),
  );
  const inputs = Object.keys(metafile.inputs).filter((path) => existsSync(join(root, path)));
  const own = inputs.filter((path) => !path.includes('node_modules/'));
  const sources = (kind: RegExp) =>
    own.filter((path) => kind.test(path)).map((path) => readFileSync(join(root, path), 'utf8'));
  const modules = sources(/\.tsx?$/);
  const names = new ShortNames(namesToShorten(texts.get('en') ?? {}, modules));
  const properties = shortProperties({ modules, styles: sources(/\.css$/) });
  const { outputFiles } = await build(optionsFor(root, { texts, names, properties }));
  const built = outputFiles.map(({ path, contents }) => ({ name: basename(path), bytes: Buffer.from(contents) }));
  const icon = readFileSync(join(root, 'ui/icon.svg'));
  const files = [...built, { name: `icon-${hashOf(icon).slice(0, 10)}.svg`, bytes: icon }];
  const named = (expression: RegExp): string => {
    const file = files.find(({ name }) => expression.test(name));
    if (file === undefined) throw new Error(`esbuild made no ${expression.source} of ui/src/main.tsx`);
    return file.name;
  };
  const page = readFileSync(join(root, 'ui/index.html'), 'utf8')
    .replace('%SCRIPT%', named(/^console-.*\.js$/))
    .replace('%STYLE%', named(/^console-.*\.css$/))
    .replace('%ICON%', named(/^icon-/));
  const all = [...files, { name: 'index.html', bytes: Buffer.from(page) }].map((file) => ({
    ...file,
    gzip: smallest(file.bytes),
  }));
  const assets = Object.fromEntries(
    all.map(({ name, bytes, gzip }) => [
      name,
      { contentType: TYPES[extname(name)], gzip: gzip.toString('base64'), hash: hashOf(bytes).slice(0, 20) },
    ]),
  );
  const bytes = all.reduce((sum, { gzip }) => sum + gzip.length, 0);
  if (bytes > MAX_BYTES) {
    throw new Error(`The page of the console has ${bytes} bytes gzipped, and may have ${MAX_BYTES}: make it smaller`);
  }
  const text = JSON.stringify(assets, undefined, 1);
  // Renamed, so that a build at the same time reads a whole file.
  const directory = join(root, 'ui/built');
  const fresh = join(directory, `assets-${process.pid}.js`);
  mkdirSync(directory, { recursive: true });
  try {
    writeFileSync(fresh, `export const ASSETS = ${text};\n`);
    renameSync(fresh, join(directory, 'assets.js'));
  } finally {
    rmSync(fresh, { force: true });
  }
  return { inputs, bytes };
}

/** Gzipped in the way that is the shortest: how much is put into one block decides it. */
function smallest(bytes: Buffer): Buffer {
  const ways = [5, 6, 7, 8, 9].map((memLevel) => gzipSync(bytes, { level: 9, memLevel }));
  return ways.reduce((best, each) => (each.length < best.length ? each : best));
}

/**
 * Short names for the custom properties of the style sheets, apart from those that the page sets.
 *
 * @param own the modules of the page, and its style sheets
 */
export function shortProperties(
  own: Readonly<Record<'modules' | 'styles', readonly string[]>>,
): ReadonlyMap<string, string> {
  const set = new Set(own.modules.flatMap((source) => source.match(PROPERTY) ?? []));
  const names = new Set(own.styles.flatMap((style) => style.match(PROPERTY) ?? []).filter((name) => !set.has(name)));
  return new Map([...names].map((name, at) => [name, `--${at.toString(36)}`]));
}

function optionsFor(root: string, short: Parameters<typeof keylessTexts>[1] & Shorter): PageOptions {
  return {
    absWorkingDir: root,
    entryPoints: { console: 'ui/src/main.tsx' },
    outdir: 'ui/built',
    bundle: true,
    // The texts of each language are in a file of their own.
    splitting: true,
    plugins: [keylessTexts(join(root, 'ui/src/words'), short), shortSource(short)],
    entryNames: '[name]-[hash]',
    chunkNames: '[name]-[hash]',
    format: 'esm',
    platform: 'browser',
    // Browsers of 2024 and later: they have `light-dark()` and Web Locks.
    target: ['es2023', 'chrome123', 'firefox124', 'safari17.5'],
    jsx: 'transform',
    jsxFactory: 'jsxElement',
    jsxFragment: 'JsxFragment',
    // That of ui/ says it otherwise, for the types.
    tsconfigRaw: {},
    minify: true,
    charset: 'utf8',
    legalComments: 'none',
    logLevel: 'warning',
    define: { 'process.env.NODE_ENV': '"production"' },
    write: false,
    metafile: true,
  };
}

interface Shorter {
  readonly names: ShortNames;
  /** Of the style sheets' custom properties. */
  readonly properties: ReadonlyMap<string, string>;
}

/**
 * Calls texts and custom properties by their short names, and writes elements as calls of `h`, whose children are arguments. The calls
 * that `jsx: 'automatic'` makes name them, and are longer.
 */
function shortSource({ names, properties }: Shorter): Plugin {
  // In the first line, so that faults keep their place.
  const elements = "import { Fragment as JsxFragment, h as jsxElement } from 'preact';";
  return {
    name: 'short-source',
    setup(build) {
      build.onLoad({ filter: /[\\/]ui[\\/]src[\\/].*\.tsx?$/ }, ({ path }) => {
        const source = names.inSource(readFileSync(path, 'utf8'));
        return path.endsWith('x') ? { contents: elements + source, loader: 'tsx' } : { contents: source, loader: 'ts' };
      });
      build.onLoad({ filter: /[\\/]ui[\\/]src[\\/].*\.css$/ }, ({ path }) => ({
        contents: readFileSync(path, 'utf8').replaceAll(PROPERTY, (name) => properties.get(name) ?? name),
        loader: 'css',
      }));
    },
  };
}

const TYPES: Readonly<Record<string, string>> = {
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.html': 'text/html; charset=utf-8',
};

function hashOf(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}
