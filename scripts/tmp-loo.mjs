import { build } from 'esbuild';
import { gzipSync } from 'node:zlib';
import { readFileSync } from 'node:fs';
const r=await build({entryPoints:{console:'ui/src/main.tsx'},outdir:'ui/built',bundle:true,splitting:true,format:'esm',minify:true,charset:'utf8',jsx:'automatic',jsxImportSource:'preact',write:false,target:['es2023','chrome123','firefox124','safari17.5'],metafile:true});
const css=r.outputFiles.find(f=>f.path.endsWith('console.css')).text;
console.log('css',css.length,gzipSync(css,{level:9}).length);
// how much do declarations repeat
const rules=css.match(/[^{}]+\{[^{}]*\}/g); const m=new Map();
for(const x of rules){const [s,b]=x.split('{');for(const d of b.replace('}','').split(';'))m.set(d,(m.get(d)||0)+1)}
console.log([...m].sort((a,b)=>b[1]*b[0].length-a[1]*a[0].length).slice(0,25).map(x=>x.join(' x')).join('\n'));
for (const t of [undefined,'esnext']) {const q=await build({entryPoints:{console:'ui/src/main.tsx'},outdir:'ui/built',bundle:true,splitting:true,format:'esm',minify:true,charset:'utf8',jsx:'automatic',jsxImportSource:'preact',write:false,...(t&&{target:t})});console.log(t,q.outputFiles.map(f=>gzipSync(f.contents,{level:9}).length).join(' '))}
