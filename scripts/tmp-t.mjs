import { build } from 'esbuild';
import { gzipSync } from 'node:zlib';
for (const t of [['es2023'],['chrome123'],['firefox124'],['safari17.5'],['safari18'],['es2023','chrome123','firefox124'],['chrome128','firefox130','safari18']]) {const q=await build({entryPoints:{console:'ui/src/main.tsx'},outdir:'ui/built',bundle:true,splitting:true,format:'esm',minify:true,charset:'utf8',jsx:'automatic',jsxImportSource:'preact',write:false,target:t});console.log(t.join(),q.outputFiles.map(f=>f.contents.length+' '+gzipSync(f.contents,{level:9}).length).join(' | '))}
const q=await build({entryPoints:{console:'ui/src/main.tsx'},outdir:'ui/built',bundle:true,format:'esm',minify:false,charset:'utf8',jsx:'automatic',jsxImportSource:'preact',write:false,target:['es2023']});
const p=await build({entryPoints:{console:'ui/src/main.tsx'},outdir:'ui/built',bundle:true,format:'esm',minify:false,charset:'utf8',jsx:'automatic',jsxImportSource:'preact',write:false});
import {writeFileSync} from 'node:fs'; writeFileSync('/tmp/cf/a.js',q.outputFiles[0].text);writeFileSync('/tmp/cf/b.js',p.outputFiles[0].text);
