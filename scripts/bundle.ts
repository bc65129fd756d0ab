import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

// `npm run build`, which `npm ci` runs too: makes lib/, the program in a few dozen files.
//
// Finding, reading and linking some 400 small modules is half of what a start from src/ costs. bin/entrepot takes lib/
// while nothing in src/ is newer, so that nobody who changes something has to think of it.

const root = fileURLToPath(new URL('..', import.meta.url));

/**
 * Bundles the program, and what it needs of other packages, into a directory, which is replaced at once and as a whole.
 *
 * @returns the packages that are in it, by name, with the text of their licence
 */
export async function bundle(directory: string): Promise<ReadonlyMap<string, string>> {
  // Beside it, as a rename does not leave a file system.
  const fresh = `${directory}-${process.pid}`;
  mkdirSync(fresh);
  try {
    const { metafile } = await build({
      absWorkingDir: root,
      entryPoints: { main: 'src/main.ts', 'check-worker': 'src/store/metadata/check-worker.ts' },
      outdir: fresh,
      bundle: true,
      // What is put off until it is needed stays in files of its own.
      splitting: true,
      format: 'esm',
      platform: 'node',
      target: 'node24',
      // Beside the others: what finds package.json, or a worker's file, looks from there.
      chunkNames: '[name]-[hash]',
      legalComments: 'none',
      // Not minified: a stack trace is to be read. Packages in the old format ask for the modules of Node itself.
      banner: { js: "import{createRequire as requireFor}from'node:module';const require=requireFor(import.meta.url);" },
      metafile: true,
      logLevel: 'warning',
    });
    rmSync(directory, { recursive: true, force: true });
    renameSync(fresh, directory);
    return licences(Object.keys(metafile.inputs));
  } finally {
    rmSync(fresh, { recursive: true, force: true });
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
  const directory = join(root, 'lib');
  await bundle(directory);
  console.log(`${relative(dirname(directory), directory)}/ holds the program`);
}
