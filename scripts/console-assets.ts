import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import type { BuildOptions } from 'esbuild';

// The page of the console (ui/), made into one module that the program loads when the page is asked for.

/** Gzipped bytes of the whole page. It opens at once over a slow line. */
const MAX_BYTES = 60_000;

type Build = (options: BuildOptions & { write: false; metafile: true }) => Promise<{
  readonly outputFiles: readonly { readonly path: string; readonly contents: Uint8Array }[];
  readonly metafile: { readonly inputs: Readonly<Record<string, unknown>> };
}>;

/**
 * Bundles ui/src/ into ui/built/assets.js, the module behind `#console-assets`.
 *
 * @returns the files that went into it, and the gzipped bytes of what a browser loads
 * @throws {Error} where the page is larger than it may be
 */
export async function buildConsole(
  root: string,
  build: Build,
): Promise<{ readonly inputs: readonly string[]; readonly bytes: number }> {
  const { outputFiles, metafile } = await build({
    absWorkingDir: root,
    entryPoints: { console: 'ui/src/main.tsx' },
    outdir: 'ui/built',
    bundle: true,
    format: 'esm',
    platform: 'browser',
    // Browsers of 2024 and later: they have `light-dark()` and Web Locks.
    target: ['es2023', 'chrome123', 'firefox124', 'safari17.5'],
    jsx: 'automatic',
    jsxImportSource: 'preact',
    minify: true,
    charset: 'utf8',
    legalComments: 'none',
    logLevel: 'warning',
    define: { 'process.env.NODE_ENV': '"production"' },
    write: false,
    metafile: true,
  });
  const textOf = (suffix: string): Buffer => {
    const file = outputFiles.find(({ path }) => path.endsWith(suffix));
    if (file === undefined) throw new Error(`esbuild made no ${suffix} of ui/src/main.tsx`);
    return Buffer.from(file.contents);
  };
  const icon = readFileSync(join(root, 'ui/icon.svg'));
  const files = [
    { place: '%SCRIPT%', stem: 'console', extension: 'js', contentType: 'text/javascript; charset=utf-8' },
    { place: '%STYLE%', stem: 'console', extension: 'css', contentType: 'text/css; charset=utf-8' },
    { place: '%ICON%', stem: 'icon', extension: 'svg', contentType: 'image/svg+xml', content: icon },
  ].map(({ content, ...file }) => {
    const bytes = content ?? textOf(`.${file.extension}`);
    return { ...file, bytes, name: `${file.stem}-${hashOf(bytes).slice(0, 10)}.${file.extension}` };
  });
  const page = files.reduce(
    (text, { place, name }) => text.replace(place, name),
    readFileSync(join(root, 'ui/index.html'), 'utf8'),
  );
  const all = [...files, { name: 'index.html', contentType: 'text/html; charset=utf-8', bytes: Buffer.from(page) }];
  const assets = Object.fromEntries(
    all.map(({ name, contentType, bytes }) => [
      name,
      { contentType, gzip: gzipSync(bytes, { level: 9 }).toString('base64'), hash: hashOf(bytes).slice(0, 20) },
    ]),
  );
  const bytes = Object.values(assets).reduce((sum, { gzip }) => sum + Buffer.byteLength(gzip, 'base64'), 0);
  if (bytes > MAX_BYTES) {
    throw new Error(`The page of the console has ${bytes} bytes gzipped, and may have ${MAX_BYTES}: make it smaller`);
  }
  const text = JSON.stringify(assets, undefined, 1);
  // Renamed, so that a build at the same time reads a whole file.
  const built = join(root, 'ui/built');
  const fresh = join(built, `assets-${process.pid}.js`);
  mkdirSync(built, { recursive: true });
  try {
    writeFileSync(fresh, `export const ASSETS = ${text};\n`);
    renameSync(fresh, join(built, 'assets.js'));
  } finally {
    rmSync(fresh, { force: true });
  }
  return { inputs: Object.keys(metafile.inputs), bytes };
}

function hashOf(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}
