import { readFileSync } from 'node:fs';
import { openSafetensors } from '#weights/safetensors-source.ts';
import { dequantiseTensors } from '#weights/quantise.ts';
import { readFloat32 } from '#weights/casts.ts';
const S = new Map([...readFileSync('/tmp/quant2.log','utf8').matchAll(/^(text_encoder|unet|vae) (\S+): ([\d.]+)$/gm)].map((m) => [`${m[1]}/${m[2]}`, Number(m[3])]));
for (const n of ['text_encoder','vae','unet']) { const o = async (d: string) => openSafetensors(new Blob([readFileSync(`${d}/${n}/model.safetensors`)]), n);
 const [a, b, c] = [await o('/tmp/pack16'), await o('/tmp/pack39'), await o('public/models/emoji-mini')]; const rows: [number, string][] = []; let tb=0, tc=0;
 for (const k of a.names()) { if (!S.has(`${n}/${k}`)) continue; const w = await readFloat32(a, k), x = await readFloat32(dequantiseTensors(b), k), y = await readFloat32(dequantiseTensors(c), k); let p=0,e=0,f=0; w.forEach((v,i)=>{p+=v*v;e+=(v-x[i]!)**2;f+=(v-y[i]!)**2});
  const sc = c.info(k+'.scale') ? await readFloat32(c, k+'.scale') : new Float32Array(1); const m = Math.min(...sc); const lim = sc.filter((v)=>v>m).length/sc.length; const s = S.get(`${n}/${k}`)!/ (0.25/Math.sqrt(12));
  tb += s*s*e/p; tc += s*s*f/p; rows.push([s*Math.sqrt(f/p), `${k} ${w.length} relerr39 ${Math.sqrt(e/p).toFixed(4)} relerr25 ${Math.sqrt(f/p).toFixed(4)} limited ${lim.toFixed(2)} out39 ${(s*Math.sqrt(e/p)).toFixed(5)} out25 ${(s*Math.sqrt(f/p)).toFixed(5)}`]); }
 console.log(n, Math.sqrt(tb), Math.sqrt(tc)); rows.sort((p,q)=>q[0]-p[0]); for (const r of rows.slice(0,7)) console.log('  ', r[1]); }
