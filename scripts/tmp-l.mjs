import {EN} from '../ui/src/words/en.ts';
const walk=(a,p)=>{for(const k in a){const x=a[k];if(typeof x==='object')walk(x,p+'.'+k);else if(String(x).length>75)console.log(p+'.'+k,'::',String(x).replace(/\s+/g,' '))}};
walk(EN,'');
