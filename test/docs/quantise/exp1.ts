import { openAsBlob } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { openSafetensors } from '/work/main/src/weights/safetensors-source.ts';
import { calibrate } from '/work/main/test/docs/quantise/calibration.ts';
import { readWeights } from '/work/main/test/docs/quantise/networks.ts';
const F = '/work/shared/emoji-mini';
const rd = async (n: string) =>
  readWeights(await openSafetensors(await openAsBlob(`${F}/weights/${n}.safetensors`), n));
const built = {
  weights: { text_encoder: await rd('text_encoder'), unet: await rd('unet'), vae: await rd('vae') },
  unetConfig: JSON.parse(await readFile(`${F}/unet/config.json`, 'utf8')),
  merges: await readFile(`${F}/tokenizer/merges.txt`, 'utf8'),
};
console.time('calibrate');
const c = await calibrate(built);
console.timeEnd('calibrate');
for (const [n, f] of [
  ['unet', 'unet'],
  ['text_encoder', 'text_encoder'],
  ['vae_decoder', 'vae'],
  ['vae_encoder', 'vae'],
] as const) {
  const name = Object.keys(built.weights[f]).find(
    (k) =>
      k.endsWith('.weight') &&
      built.weights[f][k]!.shape.length > 1 &&
      (!n.startsWith('vae') || k.startsWith(n.slice(4, 7))),
  )!;
  const t = built.weights[f][name]!;
  const rms = Math.sqrt(t.data.reduce((s, x) => s + x * x, 0) / t.data.length);
  const d = rms * 0.25;
  console.time(n);
  console.log(
    n,
    name,
    Math.sqrt(
      await c.errorOf(n, {
        ...built.weights[f],
        [name]: { ...t, data: t.data.map((x) => Math.round(x / d) * d) },
      }),
    ),
  );
  console.timeEnd(n);
}
