import { openAsBlob, readFileSync, writeFileSync } from 'node:fs';
import { openSafetensors } from '#weights/safetensors-source.ts';
import { readWeights } from './networks.ts';
import { chooseSteps, roundTo, rmsOf, type QuantisedWeight } from './steps.ts';
import { deflateSync } from 'node:zlib';
const F = '/work/shared/emoji-mini';
const S = JSON.parse(readFileSync('/tmp/sens.json', 'utf8'));
const map = new Map<string, QuantisedWeight>();
for (const n of ['text_encoder', 'unet', 'vae']) {
  const w = await readWeights(await openSafetensors(await openAsBlob(`${F}/weights/${n}.safetensors`), n));
  for (const [k, t] of Object.entries(w)) {
    const s = S[`${n}/${k}`];
    if (!s) {
      continue;
    }
    map.set(`${n}/${k}`, {
      ...t,
      sensitivity: (s.e / (0.25 ** 2 / 12)) * (s.net === 'vae_encoder' ? 0.5 : 1),
    });
  }
}
for (const mb of process.argv.slice(2).map(Number)) {
  console.time('steps');
  const steps = chooseSteps(map, mb * 1e6);
  console.timeEnd('steps');
  const net: Record<string, number> = {},
    by: Record<string, number> = {};
  const rows = [];
  for (const [k, w] of map) {
    const r = rmsOf(w.data);
    const q = roundTo(w.data, steps.get(k)!);
    const z = deflateSync(q, { level: 9, memLevel: 9, strategy: 2 }).length;
    let e = 0;
    q.forEach((x, i) => {
      e += (x * steps.get(k)! - w.data[i]!) ** 2;
    });
    e /= w.data.length * r * r;
    const n = S[k].net;
    net[n] = (net[n] ?? 0) + (S[k].e / (0.25 ** 2 / 12)) * e;
    by[n] = (by[n] ?? 0) + z;
    rows.push(
      `${k} ${w.shape} bits ${((z * 8) / w.data.length).toFixed(2)} k ${(steps.get(k)! / r).toFixed(3)} werr ${Math.sqrt(e).toFixed(4)} out ${Math.sqrt((S[k].e / (0.25 ** 2 / 12)) * e).toFixed(5)}`,
    );
  }
  console.log(
    mb,
    Object.entries(net)
      .map(([n, e]) => `${n} ${Math.sqrt(e).toFixed(4)} ${(by[n]! / 1e6).toFixed(2)} MB`)
      .join(', '),
  );
  writeFileSync('/tmp/rows' + mb + '.txt', rows.join('\n'));
}
