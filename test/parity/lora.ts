import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseLora } from '#weights/lora.ts';
import { mergeLoras, type WeightedLora } from '#weights/merge-loras.ts';
import { dequantiseTensors, quantiseTensors, type Storage } from '#weights/quantise.ts';
import { openSafetensors, type SafetensorsFile } from '#weights/safetensors-source.ts';
import type { TensorInfo, TensorSource } from '#weights/tensor-source.ts';
import type { ParityCase } from './case.ts';
import { openReference, readFloats, runReference, type ReferenceModel } from './models.ts';
import { relativeError } from '../support/relative-error.ts';

const TOLERANCE = 1e-4;

/**
 * The two LoRAs of `models/` merged into `unet-sd1`, each alone and both, against the outputs of diffusers; then the
 * same UNet quantised, where the reference is what its own stored numbers mean.
 */
export async function* cases(dir: string): AsyncGenerator<ParityCase> {
  const models = join(dir, 'models');
  if (!existsSync(join(models, 'lora.expected.safetensors'))) return;
  const unet = await openReference(join(models, 'unet-sd1'));
  yield* mergedCases(models, unet);
  yield* quantisedCases(unet);
}

async function* mergedCases(models: string, unet: ReferenceModel): AsyncGenerator<ParityCase> {
  const open = (file: string) => openSafetensors(new Blob([readFileSync(join(models, file))]), file);
  const expected = await open('lora.expected.safetensors');
  const weighted = async (style: 'kohya' | 'peft'): Promise<WeightedLora> => ({
    lora: parseLora(await open(`lora-${style}.safetensors`), style),
    strength: Number(expected.metadata[`${style}_strength`]),
  });
  const kohya = await weighted('kohya');
  const peft = await weighted('peft');
  for (const [output, loras] of [
    ['kohya_only', [kohya]],
    ['peft_only', [peft]],
    ['both', [kohya, peft]],
  ] as const) {
    const merged = mergeLoras(new Map([['unet', unet.weights]]), loras).get('unet');
    const sample = merged && (await sampleWith(unet, merged));
    const error = sample ? relativeError(sample, await readFloats(expected, output)) : Infinity;
    yield { name: `lora/${output}`, error, tolerance: TOLERANCE, supported: true };
  }
}

async function* quantisedCases(unet: ReferenceModel): AsyncGenerator<ParityCase> {
  const exact = await sampleWith(unet, unet.weights);
  for (const kind of ['int8-channels', 'int8-blocks', 'int4-blocks'] as const) {
    const storage = ({ shape }: TensorInfo): Storage => {
      if (kind === 'int8-channels') return shape.length === 4 ? kind : 'exact';
      return shape.length === 2 && (shape[1] ?? 0) % 32 === 0 ? kind : 'exact';
    };
    const quantised = quantiseTensors(unet.weights, storage);
    const actual = await sampleWith(unet, quantised);
    const meant = await sampleWith(unet, dequantiseTensors(quantised));
    const change = exact && actual ? relativeError(actual, exact).toExponential(1) : 'unknown';
    yield {
      name: `quantised/${kind}`,
      error: actual && meant ? relativeError(actual, meant) : Infinity,
      tolerance: TOLERANCE,
      supported: true,
      note: `${change} from the exact weights`,
    };
  }
}

/** The UNet's output for its recorded inputs, with other weights. */
async function sampleWith(unet: ReferenceModel, weights: TensorSource): Promise<Float32Array | undefined> {
  const file: SafetensorsFile = { ...unet.weights, ...weights };
  return (await runReference({ ...unet, weights: file }))['out.sample'];
}
