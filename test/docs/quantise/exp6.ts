import { readFileSync } from 'node:fs';
import { createEngine } from '#engine/engine.ts';
import { packs } from '#library/packs/index.ts';
import { readFloat32 } from '#weights/casts.ts';
import { openSafetensors } from '#weights/safetensors-source.ts';
import { textToImage } from '../../support/jobs.ts';
import { compareImages } from '../../support/images.ts';
import { openNodeRuntime, readFrom } from '../../support/node-engine.ts';
import { readReferenceImages } from '../../support/reference-images.ts';
import { runToEnd } from '../../support/tiny-packs.ts';
import { buildEmoji, EMOJI_INPUTS, readEmojiOutputs } from '../../support/emoji-weights.ts';
import { relativeError } from '../../support/relative-error.ts';
import { openGraph } from '../../support/onnx-session.ts';
const pack = packs['emoji-mini'];
const exp = await readEmojiOutputs();
const D = { 16: '/tmp/pack16', ...Object.fromEntries(process.argv.slice(2).map((x) => [x, x])) };
const got: Record<string, Record<string, Float32Array>> = {};
for (const [k, d] of Object.entries(D)) for (const n of ['unet','text_encoder','vae_decoder','vae_encoder'] as const) {
  const s0 = await openSafetensors(new Blob([readFileSync(`${d}/${n.startsWith('vae')?'vae':n}/model.safetensors`)]), n);
  const s = { names: () => s0.names(), info: (x: string) => s0.info(x), read: (x: string) => s0.read(x) };
  const g = await openGraph(buildEmoji(n, s), s, {}); const o = await g.run(EMOJI_INPUTS[n]); await g.release();
  for (const [x, { data }] of Object.entries(o)) { (got[k] ??= {})[n+x] = data; console.log(k, n, x, 'vs export', relativeError(data, await readFloat32(exp, `${n}.${x}`)).toFixed(4), 'vs f16', relativeError(data, got['16']![n+x]!).toFixed(4)); }
}
const imgs: Record<string, Uint8Array[]> = {};
for (const [k, d] of Object.entries(D)) {
 const engine = createEngine(openNodeRuntime, () => readFrom(d)); await engine.start('wasm');
 for (const r of readReferenceImages()) { const { pngs } = await runToEnd(engine, [pack], textToImage({ prompt: r.prompt, negativePrompt: r.negative_prompt, steps: r.num_inference_steps, guidanceScale: r.guidance_scale, seeds: [BigInt(r.seed)], sampler: { family: 'diffusers', scheduler: r.scheduler as never, config: {} } }));
  (imgs[k] ??= []).push(pngs[0]!); const i = imgs[k]!.length - 1; console.log(k, r.name, 'vs ref', JSON.stringify(compareImages(pngs[0]!, r.png)), 'vs f16', JSON.stringify(compareImages(pngs[0]!, imgs['16']![i]!))); }
 await engine.unload(); }
process.exit(0);
