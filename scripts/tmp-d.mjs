import {EN} from '../ui/src/words/en.ts'; import {ZH} from '../ui/src/words/zh.ts';
const m=new Map();
const walk=(a,b,p)=>{for(const k in a){const x=a[k],y=b[k];if(typeof x==='object')walk(x,y,p+'.'+k);else{const key=String(x)+' | '+String(y).replace(/\((\w+)\) =>/,'($1) =>');m.set(key,[...(m.get(key)??[]),p+'.'+k])}}};
walk(EN,ZH,'');
let n=0;for(const[k,v]of m)if(v.length>1){n+=v.length-1;console.log(k.replaceAll(/\s+/g,' '),v.join(' '))}
console.log(n);
