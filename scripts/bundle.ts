import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { BuildOptions } from 'esbuild';
import { runScript } from './script.ts';

// `npm run build`, which `npm ci` runs too: makes lib/, the program in a few dozen files.
//
// Finding, reading and linking some 400 small modules is half of what a start from src/ costs. bin/entrepot takes lib/
// while nothing in src/ is newer, so that a change needs no build to be tried.

const root = fileURLToPath(new URL('..', import.meta.url));

const MAIN = 'src/main.ts';
/** Programs of threads, by the name under which `startThread` finds them. */
export const THREADS = {
  'bcrypt-worker': 'src/access/bcrypt-worker.ts',
  'check-worker': 'src/store/metadata/check-worker.ts',
  'routing-worker': 'src/upstream/plugin/routing-worker.ts',
  'checkpoint-worker': 'src/store/hosted/checkpoint-worker.ts',
} as const;

const COMMON = {
  absWorkingDir: root,
  bundle: true,
  format: 'esm',
  platform: 'node',
  target: 'node24',
  legalComments: 'none',
  // Not minified: a stack trace is to be read. Packages in the old format ask for the modules of Node itself.
  banner: { js: "import{createRequire as requireFor}from'node:module';const require=requireFor(import.meta.url);" },
  logLevel: 'warning',
} as const satisfies BuildOptions;

/**
 * Bundles the program, and what it needs of other packages, into a directory, which is replaced at once and as a whole.
 *
 * @returns the packages that are in it, by name, with the text of their licence
 */
export async function bundle(directory: string): Promise<ReadonlyMap<string, string>> {
  // Beside it, as a rename does not leave a file system.
  const fresh = `${directory}-${process.pid}`;
  const { build } = await esbuild();
  mkdirSync(fresh);
  try {
    const page = await buildPage(build);
    const { metafile } = await build({
      ...COMMON,
      entryPoints: { main: MAIN, ...THREADS },
      outdir: fresh,
      // What is put off until it is needed stays in files of its own.
      splitting: true,
      // Beside the others: what finds package.json, or a worker's file, looks from there.
      chunkNames: '[name]-[hash]',
      metafile: true,
    });
    rmSync(directory, { recursive: true, force: true });
    renameSync(fresh, directory);
    return licences([...Object.keys(metafile.inputs), ...page.inputs]);
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
}

/**
 * Bundles the program into one module, `main.mjs`, and its threads into a `.cjs` each: what a single executable carries loads no
 * other file.
 *
 * @returns as {@link bundle}
 */
export async function bundleSingle(directory: string): Promise<ReadonlyMap<string, string>> {
  const { build } = await esbuild();
  const page = await buildPage(build);
  const { metafile } = await build({
    ...COMMON,
    entryPoints: [MAIN],
    outfile: join(directory, 'main.mjs'),
    metafile: true,
  });
  // A thread that starts from text reads CommonJS, which needs no `require` of its own.
  const { banner: _, ...thread } = COMMON;
  const { metafile: threads } = await build({
    ...thread,
    entryPoints: THREADS,
    outdir: directory,
    outExtension: { '.js': '.cjs' },
    format: 'cjs',
    metafile: true,
  });
  return licences([metafile.inputs, threads.inputs].flatMap(Object.keys).concat(page.inputs));
}

/** Once it is known that there is an esbuild: a checkout in which nothing is installed is told so first. */
async function buildPage(
  build: typeof import('esbuild').build,
): ReturnType<typeof import('./console-assets.ts').buildConsole> {
  const { buildConsole } = await import('./console-assets.ts');
  return buildConsole(root, build);
}

/** Imported when it is needed: its absence is then an error of this script, with a remedy. */
async function esbuild(): Promise<typeof import('esbuild')> {
  try {
    return await import('esbuild');
  } catch (error) {
    throw new Error('esbuild is not installed. Run npm ci --omit=dev', { cause: error });
  }
}

function licences(files: readonly string[]): ReadonlyMap<string, string> {
  const packages = new Set(
    files.map((file) => /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(file)?.[1]).filter((path) => path !== undefined),
  );
  return new Map(
    [...packages].sort().map((path) => {
      const { name, version } = JSON.parse(readFileSync(join(root, path, 'package.json'), 'utf8')) as Named;
      const file = readdirSync(join(root, path)).find((each) => /^licen[cs]e/i.test(each));
      if (file === undefined) throw new Error(`${path} has no licence: it cannot be passed on`);
      return [`${name} ${version}`, readFileSync(join(root, path, file), 'utf8').trim()];
    }),
  );
}

interface Named {
  readonly name: string;
  readonly version: string;
}

if (import.meta.main) {
  await runScript(async (args) => {
    if (args.length > 0) {
      console.error('usage: npm run build');
      return 2;
    }
    const directory = join(root, 'lib');
    await bundle(directory);
    console.log(`${relative(dirname(directory), directory)}/ holds the program`);
    return 0;
  });
}
