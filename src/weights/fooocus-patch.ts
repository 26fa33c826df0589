import { AppError } from '#protocol/error.ts';
import { fromFloat32, isFloat, readFloat32 } from './casts.ts';
import type { Lora } from './lora.ts';
import type { LoraPart } from './lora-names.ts';
import { elementCount, type TensorInfo, type TensorSource } from './tensor-source.ts';

/** Of a patch: the steps between the smallest and the largest difference, the smallest, the largest. */
const PARTS = { steps: '.0', least: '.1', most: '.2' };
const NAME = /^(?:model\.)?diffusion_model\.(.+)\.(weight|bias)\.0$/;

/** 8 bits of a difference. */
const STEPS = 255;

/** What a file of Fooocus' inpainting is, as far as names and shapes tell; undefined for other files. */
export function recogniseFooocusInpaint(file: TensorSource): 'head' | 'patch' | undefined {
  const [, inputs, ...kernel] = file.info('head')?.shape ?? [];
  if (inputs === 5 && kernel.length === 2) return 'head';
  for (const name of file.names()) {
    if (NAME.test(name) && partsOf(file, name)) return 'patch';
  }
  return undefined;
}

/**
 * Understands a patch of Fooocus' inpainting (`inpaint_v26.fooocus.patch`), which adds a difference to each weight of a UNet:
 * `steps / 255 · (most − least) + least`, where the smallest and the largest difference are broadcast over the weight.
 * To the rest of the program it is a LoRA of whole differences. Source: Fooocus, modules/core.py and
 * ldm_patched/modules/model_patcher.py, the patch type `fooocus`.
 *
 * @param file as openTorchArchive gives it
 * @param name what errors call it
 * @throws AppError `invalid_request` for other files
 */
export function openFooocusPatch(file: TensorSource, name: string): Lora {
  const differences = new Map<string, TensorInfo>();
  const modules = new Map<string, Map<LoraPart, TensorInfo>>();
  const unknown: string[] = [];
  for (const tensor of file.names()) {
    if (!tensor.endsWith(PARTS.steps)) continue;
    const [, module, parameter] = NAME.exec(tensor) ?? [];
    const parts = partsOf(file, tensor);
    if (module === undefined || !parts) {
      unknown.push(tensor);
      continue;
    }
    const difference: TensorInfo = { name: tensor, type: 'float32', shape: parts.steps.shape };
    differences.set(tensor, difference);
    const flatName = module.replaceAll('.', '_');
    const ofModule = modules.get(flatName) ?? new Map<LoraPart, TensorInfo>();
    modules.set(flatName, ofModule.set(parameter === 'bias' ? 'biasDifference' : 'difference', difference));
  }
  if (modules.size === 0)
    throw new AppError('invalid_request', `${name} is not a patch of Fooocus' inpainting.`);
  return {
    name,
    components: new Set(['unet']),
    modules: [...modules].map(([flatName, parts]) => ({ component: 'unet', flatName, parts })),
    scaleOf: () => 1,
    file: {
      names: () => differences.keys(),
      info: (tensor) => differences.get(tensor),
      read: (tensor) => readDifference(file, tensor),
    },
    embeddings: new Map(),
    unknown,
  };
}

interface Parts {
  steps: TensorInfo;
  least: TensorInfo;
  most: TensorInfo;
}

/** The three tensors of a difference, if they belong together. @param first the name of its steps */
function partsOf(file: TensorSource, first: string): Parts | undefined {
  const whole = first.slice(0, -PARTS.steps.length);
  const steps = file.info(first);
  const least = file.info(whole + PARTS.least);
  const most = file.info(whole + PARTS.most);
  if (!steps || !least || !most) return undefined;
  const isReadable =
    (steps.type === 'uint8' || isFloat(steps.type)) && [least, most].every(({ type }) => isFloat(type));
  const fits = [least, most].every(({ shape }) => isBroadcast(shape, steps.shape));
  return isReadable && fits ? { steps, least, most } : undefined;
}

async function readDifference(file: TensorSource, first: string): Promise<Uint8Array<ArrayBuffer>> {
  const parts = partsOf(file, first);
  if (!parts) throw new AppError('not_found', `There is no tensor "${first}".`);
  const { steps, least, most } = parts;
  const counts =
    steps.type === 'uint8' ? Float32Array.from(await file.read(first)) : await readFloat32(file, first);
  const low = await readFloat32(file, least.name);
  const high = await readFloat32(file, most.name);
  const { fround } = Math;
  const lowAt = broadcastIndex(least.shape, steps.shape);
  const highAt = broadcastIndex(most.shape, steps.shape);
  const values = counts.map((count, i) => {
    const from = low[lowAt(i)] ?? 0;
    const range = fround((high[highAt(i)] ?? 0) - from);
    return fround(fround(count / STEPS) * range) + from;
  });
  return fromFloat32(values, 'float32');
}

/** Whether torch would broadcast a shape to another one. */
function isBroadcast(shape: readonly number[], to: readonly number[]): boolean {
  const own = shape.toReversed();
  const all = to.toReversed();
  return own.length <= all.length && own.every((size, axis) => size === 1 || size === all[axis]);
}

/** Which element of a broadcast tensor belongs to each of the tensor that it is broadcast to. */
function broadcastIndex(shape: readonly number[], to: readonly number[]): (index: number) => number {
  const own = shape.toReversed();
  // All that vary are the outermost ones, or the tensor is a scalar, in everything that is known of these files.
  const rows = shape[0] ?? 1;
  const isPerRow = shape.length === to.length && own.slice(0, -1).every((size) => size === 1);
  const perRow = elementCount(to) / rows;
  if (elementCount(shape) === 1) return () => 0;
  if (isPerRow) return (index) => Math.floor(index / perRow);
  const all = to.toReversed();
  return (index) => {
    let [rest, at, step] = [index, 0, 1];
    for (const [axis, size] of all.entries()) {
      const mine = own[axis] ?? 1;
      if (mine > 1) at += (rest % size) * step;
      step *= mine;
      rest = Math.floor(rest / size);
    }
    return at;
  };
}
