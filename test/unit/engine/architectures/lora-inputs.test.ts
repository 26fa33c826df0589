import path from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { buildUnet2dCondition } from '#engine/architectures/unet-2d-condition.ts';
import type { BuiltGraph } from '#engine/graph/graph.ts';
import { parseLora } from '#weights/lora.ts';
import { lowRankFactors, mergeLoras, type WeightedLora } from '#weights/merge-loras.ts';
import { dequantiseTensors, quantiseTensors, type Storage } from '#weights/quantise.ts';
import { openSafetensors } from '#weights/safetensors-source.ts';
import type { TensorInfo, TensorSource } from '#weights/tensor-source.ts';
import { readFileSync } from 'node:fs';
import { openReference, type ReferenceModel } from '../../../parity/models.ts';
import { loraFeeds, loraInputsOf, randomLora, withoutKernels } from '../../../support/loras.ts';
import { openGraph, type Numbers } from '../../../support/onnx-session.ts';
import { pseudoRandom } from '../../../support/random-weights.ts';
import { relativeError } from '../../../support/relative-error.ts';

const MODELS = path.resolve(import.meta.dirname, '../../../fixtures/models');

let sd1: ReferenceModel;
let sdxl: ReferenceModel;
beforeAll(async () => {
  sd1 = await openReference(path.join(MODELS, 'unet-sd1'));
  sdxl = await openReference(path.join(MODELS, 'unet-sdxl'));
});

/** Numbers of the kind each input takes, LoRAs aside; two images that are not square. */
function inputsOf(graph: BuiltGraph): Record<string, Numbers> {
  const sides: Record<string, number> = { batch: 2, height: 8, width: 12, sequence: 7 };
  const inputs: Record<string, Numbers> = {};
  const others = graph.inputs.filter(({ name }) => !name.includes('.lora_'));
  for (const [index, { name, shape: declared }] of others.entries()) {
    const shape = declared.map((side) => (typeof side === 'number' ? side : (sides[side] ?? NaN)));
    const count = shape.reduce((product, side) => product * side, 1);
    inputs[name] = {
      data: name === 'timestep' ? Float32Array.of(321) : pseudoRandom(count, index + 1),
      shape,
    };
  }
  return inputs;
}

async function run(
  { files }: ReferenceModel,
  graph: BuiltGraph,
  weights: TensorSource,
  feeds: Record<string, Numbers> = {},
): Promise<Float32Array> {
  const session = await openGraph(graph, weights, files);
  const { out_sample: output } = await session.run({ ...inputsOf(graph), ...feeds });
  await session.release();
  return output?.data ?? new Float32Array();
}

/** The network with the LoRAs merged into these weights. */
async function runMerged(
  model: ReferenceModel,
  loras: readonly WeightedLora[],
  weights: TensorSource = model.weights,
) {
  const merged = mergeLoras(new Map([['unet', weights]]), loras).get('unet') ?? weights;
  return run(model, buildUnet2dCondition(model.config, { weights: merged }), merged);
}

/** The network with the LoRAs as its inputs. */
async function runGiven(
  model: ReferenceModel,
  loras: readonly WeightedLora[],
  { weights = model.weights, ...options }: { weights?: TensorSource; precision?: 'float16' } = {},
) {
  const graph = buildUnet2dCondition(model.config, { ...options, weights, loraInputs: true });
  const factors = await lowRankFactors(new Map([['unet', weights]]), 'unet', loras)?.();
  if (!factors) throw new Error('A LoRA is more than inputs can hold.');
  return run(model, graph, weights, loraFeeds(graph, factors));
}

const lorasOf = (model: ReferenceModel, ...strengths: number[]): WeightedLora[] => {
  const graph = buildUnet2dCondition(model.config, { weights: model.weights, loraInputs: true });
  return strengths.map((strength, index) => ({
    lora: parseLora(randomLora(graph, index + 1), `random ${String(index)}`),
    strength,
  }));
};

async function referenceLora(style: 'kohya' | 'peft', strength: number): Promise<WeightedLora> {
  const file = `lora-${style}.safetensors`;
  const source = await openSafetensors(new Blob([readFileSync(path.join(MODELS, file))]), file);
  return { lora: parseLora(withoutKernels(source), style), strength };
}

test('every linear layer and 1×1 convolution has inputs', () => {
  for (const { config, weights } of [sd1, sdxl]) {
    const graph = buildUnet2dCondition(config, { weights, loraInputs: true });
    const matrices = graph.parameters.filter(
      ({ name, shape: [, , ...kernel] }) =>
        name.endsWith('.weight') &&
        weights.info(name)?.shape.length !== 1 &&
        kernel.every((side) => side === 1),
    );
    const modules = matrices.map(({ name }) => name.replace(/\.weight$/, ''));
    expect(new Set(loraInputsOf(graph).map(({ module }) => module))).toEqual(new Set(modules));
  }
});

test('nothing has any unless they are asked for', () => {
  expect(loraInputsOf(buildUnet2dCondition(sd1.config, { weights: sd1.weights }))).toEqual([]);
});

describe('LoRAs as inputs compute what they do merged', () => {
  test.each([
    ['kohya', ['kohya']],
    ['PEFT', ['peft']],
    ['both', ['kohya', 'peft']],
  ] as const)('those of the reference: %s', async (_, styles) => {
    const loras = await Promise.all(
      styles.map((style) => referenceLora(style, style === 'kohya' ? 0.8 : -0.6)),
    );
    const given = await runGiven(sd1, loras);
    expect(relativeError(given, await runMerged(sd1, loras))).toBeLessThan(1e-5);
    expect(relativeError(given, await runMerged(sd1, []))).toBeGreaterThan(1e-2);
  });

  test('in every module there is, of SD 1 and SDXL, several at once', async () => {
    for (const model of [sd1, sdxl]) {
      const loras = lorasOf(model, 1, -0.5, 0.25);
      const given = await runGiven(model, loras);
      expect(relativeError(given, await runMerged(model, loras))).toBeLessThan(1e-5);
      expect(relativeError(given, await runMerged(model, []))).toBeGreaterThan(1e-2);
    }
  });

  test.each(['int8-channels', 'int8-blocks', 'int4-blocks'] as const)('on %s weights', async (kind) => {
    const storage = ({ name, shape }: TensorInfo): Storage => {
      if (!name.endsWith('.weight')) return 'exact';
      if (kind === 'int8-channels') return shape.length === 4 ? kind : 'exact';
      return shape.length === 2 && Number(shape[1]) % 32 === 0 ? kind : 'exact';
    };
    const weights = quantiseTensors(sd1.weights, storage);
    const loras = lorasOf(sd1, 0.7);
    const given = await runGiven(sd1, loras, { weights });
    const meant = dequantiseTensors(weights);
    // The fused kernel sums in another order.
    expect(relativeError(given, await runMerged(sd1, loras, meant))).toBeLessThan(1e-4);
    expect(relativeError(given, await runMerged(sd1, [], meant))).toBeGreaterThan(1e-2);
  });

  test('nearly, in float16', async () => {
    const loras = lorasOf(sd1, 0.7);
    const given = await runGiven(sd1, loras, { precision: 'float16' });
    expect(relativeError(given, await runMerged(sd1, loras))).toBeLessThan(0.02);
  });
});

test('none of them compute what the plain UNet does, to the last bit', async () => {
  expect(await runGiven(sd1, [])).toEqual(await runMerged(sd1, []));
  expect(await runGiven(sd1, lorasOf(sd1, 0))).toEqual(await runMerged(sd1, []));
});
