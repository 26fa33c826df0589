import { openAsBlob, readFileSync, writeFileSync, mkdirSync, cpSync } from 'node:fs';
import { openSafetensors } from '#weights/safetensors-source.ts';
import { deflatedFile } from '../../support/deflated.ts';
import { quantised } from './quantised.ts';
import { readWeights } from './networks.ts';
import { bytesOf, chooseSteps, type Matrix } from './steps.ts';
const F = '/work/shared/emoji-mini';
const S = new Map([...readFileSync('/tmp/quant2.log','utf8').matchAll(/^(text_encoder|unet|vae) (\S+): ([\d.]+)$/gm)].map((m) => [`${m[1]}/${m[2]}`, Number(m[3])]));
const [T, U, D, E] = process.argv.slice(2, 6).map(Number); const out = process.argv[6]!;
const map = new Map<string, Matrix>(); const src: any = {};
for (const n of ['text_encoder','unet','vae']) { src[n] = await openSafetensors(await openAsBlob(`${F}/weights/${n}.safetensors`), n); const w = await readWeights(src[n]);
 for (const [k, t] of Object.entries(w)) { const e = S.get(`${n}/${k}`); if (e === undefined) continue; const c = n === 'text_encoder' ? T! : n === 'unet' ? U! : k.startsWith('enc') ? E! : D!; map.set(`${n}/${k}`, { rows: t.shape[0]!, data: t.data, sensitivity: c * Math.max(e, 2e-6) ** 2 / (0.25**2/12) }); } }
const forN = 25e6 - 525329;
const make = async (st: Map<string, number>) => { const r: Record<string, Uint8Array> = {}; for (const n of Object.keys(src)) r[n] = await deflatedFile(quantised(src[n], (x) => st.get(`${n}/${x}`))); return r; };
const tot = (r: Record<string, Uint8Array>) => Object.values(r).reduce((s, b) => s + b.length, 0);
const f = chooseSteps(map, forN); const others = tot(await make(f)) - bytesOf(map, f);
const st = chooseSteps(map, forN - others); const r = await make(st); console.log(Object.entries(r).map(([n, b]) => n + b.length).join(), tot(r) + 525329, [...map.keys()].filter((k) => !st.has(k)).length);
cpSync('/tmp/pack39', out, { recursive: true }); for (const [n, b] of Object.entries(r)) writeFileSync(`${out}/${n}/model.safetensors`, b);
