import { writeFileSync } from 'node:fs';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { build } from 'esbuild';

const { EN } = await import('../ui/src/words/en.ts');
const { ZH } = await import('../ui/src/words/zh.ts');
const leaves = (o) =>
  typeof o === 'object'
    ? Object.values(o).map(leaves).join(',')
    : typeof o === 'function'
      ? String(o)
      : JSON.stringify(o);
const order = (o, e) =>
  typeof e === 'object'
    ? Object.keys(e)
        .map((k) => order(o[k], e[k]))
        .join(',')
    : typeof o === 'function'
      ? String(o)
      : JSON.stringify(o);
const shape = (o) =>
  typeof o === 'object'
    ? '(' +
      Object.entries(o)
        .map(([k, v]) => k + shape(v))
        .join(' ') +
      ')'
    : '';
for (const [n, t] of [
  ['en', order(EN, EN)],
  ['zh', order(ZH, EN)],
]) {
  const { transform } = await import('esbuild');
  const r = await transform('export default[' + t + ']', { minify: true, charset: 'utf8' });
  console.log(n, r.code.length, gzipSync(r.code, { level: 9 }).length);
}
const r = await build({
  entryPoints: { console: 'ui/src/main.tsx' },
  outdir: 'ui/built',
  bundle: true,
  splitting: true,
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
});
const js = Buffer.from(r.outputFiles.find((f) => /console.*js$/.test(f.path)).contents);
console.log(
  'console',
  gzipSync(js, { level: 9 }).length,
  'with shape',
  gzipSync(js + JSON.stringify(shape(EN)), { level: 9 }).length,
  'mem9',
  gzipSync(js, { level: 9, memLevel: 9 }).length,
  'mem7',
  gzipSync(js, { level: 9, memLevel: 7 }).length,
  gzipSync(js, { level: 8, memLevel: 9 }).length,
  'br',
  brotliCompressSync(js).length,
);
for (const f of r.outputFiles) writeFileSync('/tmp/cf/' + f.path.split('/').pop(), f.contents);
