import { openAsBlob, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { openSafetensors } from '#weights/safetensors-source.ts';
import { calibrate } from './calibration.ts';
import { readWeights } from './networks.ts';
const F = '/work/shared/emoji-mini';
const rd = async (n: string) =>
  readWeights(await openSafetensors(await openAsBlob(`${F}/weights/${n}.safetensors`), n));
const built = {
  weights: { text_encoder: await rd('text_encoder'), unet: await rd('unet'), vae: await rd('vae') },
  unetConfig: JSON.parse(await readFile(`${F}/unet/config.json`, 'utf8')),
  merges: await readFile(`${F}/tokenizer/merges.txt`, 'utf8'),
};
const c = await calibrate(built);
const out: Record<string, unknown> = {};
for (const [n, f] of [
  ['vae_decoder', 'vae'],
  ['vae_encoder', 'vae'],
  ['text_encoder', 'text_encoder'],
  ['unet', 'unet'],
] as const)
  for (const [name, t] of Object.entries(built.weights[f])) {
    if (
      !name.endsWith('.weight') ||
      t.shape.length < 2 ||
      (n.startsWith('vae') && !name.startsWith(n.slice(4, 7)))
    )
      continue;
    const rms = Math.sqrt(t.data.reduce((s, x) => s + x * x, 0) / t.data.length);
    const d = rms * 0.25;
    const e = await c.errorOf(n, {
      ...built.weights[f],
      [name]: { ...t, data: t.data.map((x) => Math.round(x / d) * d) },
    });
    out[`${f}/${name}`] = {
      net: n,
      count: t.data.length,
      rms,
      e,
      max: t.data.reduce((m, x) => Math.max(m, Math.abs(x)), 0),
    };
    console.log(n, name, t.data.length, Math.sqrt(e));
    writeFileSync('/tmp/sens.json', JSON.stringify(out));
  }
