import { openAsBlob, readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { openSafetensors } from '#weights/safetensors-source.ts';
import { dequantiseTensors } from '#weights/quantise.ts';
import { calibrate } from './calibration.ts';
import { readWeights } from './networks.ts';
const F = '/work/shared/emoji-mini';
const rd = async (p: string) =>
  readWeights(dequantiseTensors(await openSafetensors(new Blob([readFileSync(p)]), p)));
const pk = async (d: string) => ({
  text_encoder: await rd(`${d}/text_encoder/model.safetensors`),
  unet: await rd(`${d}/unet/model.safetensors`),
  vae: await rd(`${d}/vae/model.safetensors`),
});
for (let i = 0; i < 0; i++)
  for (const d of process.argv.slice(2)) {
    const blobs = ['text_encoder', 'unet', 'vae'].map(
      (n) => new Blob([readFileSync(`${d}/${n}/model.safetensors`)]),
    );
    const t = performance.now(),
      c = process.cpuUsage();
    for (const b of blobs) {
      const s = await openSafetensors(b, 'x');
      for (const n of s.names()) await s.read(n);
    }
    console.log(d, 'read ms', performance.now() - t, 'cpu ms', process.cpuUsage(c).user / 1000);
  }
const c = await calibrate({
  weights: await pk('/tmp/pack16'),
  unetConfig: JSON.parse(await readFile(`${F}/unet/config.json`, 'utf8')),
  merges: await readFile(`${F}/tokenizer/merges.txt`, 'utf8'),
});
for (const d of process.argv.slice(2)) {
  const w = await pk(d);
  for (const n of ['text_encoder', 'unet', 'vae_decoder', 'vae_encoder'] as const)
    console.log(d, n, Math.sqrt(await c.errorOf(n, n.startsWith('vae') ? w.vae : w[n as 'unet'])).toFixed(5));
}
await c.release();
