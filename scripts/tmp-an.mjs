import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';

const r = await build({
  entryPoints: { console: 'ui/src/main.tsx' },
  outdir: 'ui/built',
  bundle: true,
  splitting: true,
  entryNames: '[name]-[hash]',
  chunkNames: '[name]-[hash]',
  format: 'esm',
  platform: 'browser',
  target: ['es2023', 'chrome123', 'firefox124', 'safari17.5'],
  jsx: 'automatic',
  jsxImportSource: 'preact',
  minify: true,
  charset: 'utf8',
  legalComments: 'none',
  define: { 'process.env.NODE_ENV': '"production"' },
  write: false,
  metafile: true,
});
let t = 0;
for (const f of r.outputFiles) {
  const g = gzipSync(f.contents, { level: 9 }).length;
  t += g;
  console.log(f.path.split('/').pop(), f.contents.length, g);
}
console.log('total', t);
for (const [o, m] of Object.entries(r.metafile.outputs)) {
  console.log(o, m.bytes);
  for (const [i, x] of Object.entries(m.inputs).sort((a, b) => b[1].bytesInOutput - a[1].bytesInOutput))
    console.log('  ', x.bytesInOutput, i);
}
