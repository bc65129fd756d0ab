import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';

const base = {
  entryPoints: { console: 'ui/src/main.tsx' },
  outdir: 'ui/built',
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'browser',
  target: ['es2023', 'chrome123', 'firefox124', 'safari17.5'],
  minify: true,
  charset: 'utf8',
  legalComments: 'none',
  define: { 'process.env.NODE_ENV': '"production"' },
  write: false,
};
const show = async (n, o) => {
  const r = await build({ ...base, ...o });
  let t = 0;
  const s = r.outputFiles.map((f) => {
    const g = gzipSync(f.contents, { level: 9 }).length;
    t += g;
    return f.path.split('/').pop() + ' ' + f.contents.length + ' ' + g;
  });
  console.log(n, t, s.join(' | '));
};
await show('auto', { jsx: 'automatic', jsxImportSource: 'preact' });
const ov = {
  jsx: 'transform',
  jsxFactory: 'h',
  jsxFragment: 'Fragment',
  inject: ['/tmp/cf/h.js'],
  tsconfigRaw: { compilerOptions: { jsx: 'react', jsxFactory: 'h', jsxFragmentFactory: 'Fragment', target: 'es2023' } },
};

import { writeFileSync } from 'node:fs';

writeFileSync(
  '/tmp/cf/h.js',
  "export {h,Fragment} from '/tmp/wt/consolefin/node_modules/preact/dist/preact.module.js'",
);
await show('h', ov);
await show('h mangled all words keys (unsafe)', {
  ...ov,
  mangleProps: new RegExp('^(' + [...keys((await import('../ui/src/words/en.ts')).EN)].join('|') + ')$'),
});
function keys(o, s = new Set()) {
  for (const [k, v] of Object.entries(o)) {
    if (/^\w+$/.test(k)) s.add(k);
    if (typeof v === 'object') keys(v, s);
  }
  return s;
}
