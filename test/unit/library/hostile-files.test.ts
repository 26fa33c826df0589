import 'fake-indexeddb/auto';
import { createLibrary } from '#library/library.ts';
import { packs } from '#library/packs/index.ts';
import { AppError } from '#protocol/error.ts';
import type { ImportSource } from '#protocol/import.ts';
import { openModelFiles } from '#storage/model-files.ts';
import { openImportedPacks } from '#storage/packs.ts';
import { expect, it } from 'vitest';
import { exportedOnnx } from '../../support/onnx-file.ts';
import { tinyFlorence } from '../../support/tiny-describers.ts';
import { pseudoRandom } from '../../support/random-weights.ts';
import { tinyTextGenerator } from '../../support/tiny-text-generator.ts';
import { tinyGroundingDino } from '../../support/tiny-word-finders.ts';

const library = createLibrary({
  packs: [packs['emoji-mini']],
  files: openModelFiles('hostile-files'),
  imported: openImportedPacks('hostile-packs'),
  base: 'http://localhost/',
  estimate: () => Promise.resolve({}),
});

const FLORENCE = tinyFlorence();

/** Whole numbers from 0 to below `limit`, the same each time. */
function dice(seed: number): (limit: number) => number {
  const numbers = pseudoRandom(4096, seed);
  let next = 0;
  return (limit) => Math.floor((((numbers[next++ % numbers.length] ?? 0) + 1) / 2) * limit);
}

/** What a file says must be answered, with an offer or with an error of ours, and soon. */
async function expectAnswer(source: ImportSource): Promise<void> {
  const started = performance.now();
  try {
    const offer = await library.inspect(source, null);
    expect(offer.problem === null).toBe(offer.options.length > 0);
  } catch (thrown) {
    expect(thrown).toBeInstanceOf(AppError);
    expect((thrown as AppError).code).toMatch(/^(?:integrity_failed|unsupported_feature|invalid_request)$/);
  }
  expect(performance.now() - started).toBeLessThan(5000);
}

function safetensors(json: string, dataBytes: number, claimedLength = json.length): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(8 + json.length + dataBytes);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(claimedLength), true);
  bytes.set(new TextEncoder().encode(json), 8);
  return bytes;
}

const file = (name: string, content: BlobPart): ImportSource => ({
  from: 'files',
  files: [{ path: name, file: new File([content], name) }],
});

/** A header of a checkpoint whose entries lie: about offsets, shapes, types and names. */
function lyingHeader(roll: (limit: number) => number): string {
  const names = [
    'model.diffusion_model.input_blocks.0.0.weight',
    'first_stage_model.decoder.conv_in.weight',
    'cond_stage_model.transformer.text_model.encoder.layers.0.mlp.fc1.weight',
    'lora_unet_down_blocks_0_attentions_0_proj_in.lora_down.weight',
    'emb_params',
    '__metadata__',
    'conv_first.weight',
    'body.0.rdb1.conv1.weight',
    'ip_adapter.1.to_k_ip.weight',
    'image_proj.proj.weight',
    'vision_model.embeddings.class_embedding',
    'vision_model.embeddings.patch_embedding.weight',
    'vision_model.pre_layrnorm.weight',
    '__proto__',
  ];
  const shapes = [
    [],
    [0],
    [4],
    [2, 2],
    [1e15, 1e15],
    [-1],
    [1.5],
    ['4'],
    Array.from({ length: 40 }, () => 1),
    null,
  ];
  const offsets = [[0, 16], [16, 0], [0, 2 ** 53], [8, 24], [-4, 4], [0], 'all', [0, 0], [1e300, 1e301]];
  const types = ['F32', 'F16', 'I4', 'F8_E4M3', 7, null];
  const pick = <T>(choices: readonly T[]) => choices[roll(choices.length)];
  const entries = Array.from({ length: 1 + roll(6) }, () => {
    const value = { dtype: pick(types), shape: pick(shapes), data_offsets: pick(offsets) };
    return `${JSON.stringify(pick(names))}:${JSON.stringify(roll(8) === 0 ? pick(types) : value)}`;
  });
  return `{${entries.join(',')}}`;
}

it('safetensors headers that lie are refused', async () => {
  const roll = dice(1);
  for (let i = 0; i < 300; i++) {
    const json = lyingHeader(roll);
    const claimed = roll(4) === 0 ? roll(2 ** 31) : json.length;
    await expectAnswer(file('a.safetensors', safetensors(json, roll(64), claimed)));
  }
});

it('headers that claim more than there is are refused before they are read', async () => {
  for (const claimed of [2 ** 31, 2 ** 52, 2 ** 53, 99_999_999])
    await expectAnswer(file('a.safetensors', safetensors('{}', 0, claimed)));
});

it('deep and empty JSON is refused', async () => {
  await expectAnswer(file('a.safetensors', safetensors('{"a":'.repeat(50_000), 0)));
  await expectAnswer(file('a.safetensors', safetensors('{}', 0)));
  await expectAnswer(file('a.safetensors', new Uint8Array(0)));
});

it('ONNX files with bytes changed, cut or repeated are refused or told', { timeout: 300_000 }, async () => {
  const roll = dice(2);
  const whole = exportedOnnx(60);
  for (let i = 0; i < 40; i++) {
    // The weights come last: what is damaged lies mostly in what is read.
    const unet = whole.slice(0, roll(3) === 0 ? roll(whole.length) : whole.length);
    for (let change = 0; change < 1 + roll(12); change++) {
      const at = roll(roll(2) === 0 ? 400 : unet.length);
      if (at < unet.length) unet[at] = roll(256);
    }
    await expectAnswer({
      from: 'files',
      files: ['unet', 'text_encoder', 'vae_decoder'].map((name) => ({
        path: `${name}/model.onnx`,
        file: new File([name === 'unet' ? unet : whole], 'model.onnx'),
      })),
    });
  }
});

it.each<[string, string, () => Uint8Array<ArrayBuffer>, Readonly<Record<string, Uint8Array<ArrayBuffer>>>]>([
  ['text generators', 'decoder_model_merged', tinyTextGenerator, {}],
  ['finders by words', 'model', tinyGroundingDino, {}],
  ['Florence-2', 'vision_encoder', () => FLORENCE['vision_encoder.onnx'] ?? new Uint8Array(), FLORENCE],
])('damaged %s are refused or told', async (_, name, graphOf, others) => {
  const roll = dice(4);
  const whole = graphOf();
  for (let i = 0; i < 40; i++) {
    const graph = whole.slice(0, roll(4) === 0 ? roll(whole.length) : whole.length);
    for (let change = 0; change < 1 + roll(6); change++) graph[roll(graph.length)] = roll(256);
    const beside = Object.fromEntries(Object.entries(others).map(([path, other]) => [`onnx/${path}`, other]));
    const named = { ...beside, 'config.json': '{', 'tokenizer.json': '\u0000', [`onnx/${name}.onnx`]: graph };
    await expectAnswer({
      from: 'files',
      files: Object.entries(named).map(([path, part]) => ({ path, file: new File([part], path) })),
    });
  }
});

it('random bytes under every name are answered', async () => {
  const roll = dice(3);
  for (const name of ['a.safetensors', 'a.bin', 'a', 'unet/model.onnx', 'unet/config.json', 'a.gguf']) {
    for (let i = 0; i < 20; i++) {
      const bytes = Uint8Array.from({ length: roll(2000) }, () => roll(256));
      await expectAnswer({
        from: 'files',
        files: [name, 'text_encoder/model.onnx', 'vae_decoder/model.onnx'].map((path) => ({
          path,
          file: new File([bytes], 'x'),
        })),
      });
      await expectAnswer(file(name, bytes));
    }
  }
});
