import type { Session, TensorValue } from '#engine/runtime/runtime.ts';
import { AppError } from '#protocol/error.ts';

/*
 * What the deep layers of a UNet give changes little from one step to the next: it is computed once in `interval` evaluations, and
 * only the outermost layers run in between (Ma et al. 2023, "DeepCache", arXiv 2312.00858, uniform intervals). Off unless asked for:
 * the image is another one, the more so the longer the interval.
 */

const FEATURE = 'deep_feature';

/** The two forms of a UNet: see `deepFeature` in architectures/unet-2d-condition.ts. */
export interface DeepCacheNetworks {
  /** Keeps the feature. */
  whole: Session;
  /** Is given it. */
  outer: Session;
}

/** What the deep layers gave last, by the place of the run in its evaluation. */
export type DeepFeatures = Map<number, { value: TensorValue; size: string }>;

/** Lets features go, and the buffers they are in. */
export function freeFeatures(features: DeepFeatures): void {
  for (const { value } of features.values()) if ('buffer' in value) value.buffer.destroy();
  features.clear();
}

/**
 * Both as one network that takes and gives what the plain UNet does. Runs of one timestep belong to one evaluation; a timestep that
 * is higher than the last begins a new image.
 *
 * @param interval evaluations from one run of the whole UNet to the next
 * @param device what the networks run on; null for arrays
 * @param features where the features are kept; empty
 */
export function withDeepCache(
  { whole, outer }: DeepCacheNetworks,
  interval: number,
  device: GPUDevice | null,
  features: DeepFeatures,
): Session {
  let evaluation = -1;
  let place = 0;
  let last = Number.NEGATIVE_INFINITY;

  /** The feature that a run may take; undefined where the whole network is to run. */
  function nextFeature(inputs: Readonly<Record<string, TensorValue>>): TensorValue | undefined {
    const timestep = firstNumber(inputs['timestep']);
    if (timestep > last) evaluation = -1;
    if (timestep === last && evaluation >= 0) place++;
    else [evaluation, place] = [evaluation + 1, 0];
    last = timestep;
    const known = features.get(place);
    return evaluation % interval !== 0 && known?.size === sizeOf(inputs) ? known.value : undefined;
  }

  const outerInputs = (inputs: Readonly<Record<string, TensorValue>>, feature: TensorValue) => ({
    ...Object.fromEntries(Object.entries(inputs).filter(([name]) => outer.inputNames.includes(name))),
    [FEATURE]: feature,
  });

  /** Where the next feature is written on the device: over the last one, where that is as large. */
  function room(inputs: Readonly<Record<string, TensorValue>>): Extract<TensorValue, { buffer: GPUBuffer }> {
    const known = features.get(place);
    const size = sizeOf(inputs);
    if (known?.size === size && 'buffer' in known.value) return known.value;
    if (known && 'buffer' in known.value) known.value.buffer.destroy();
    const [batch = 1, , height = 1, width = 1] = inputs['sample']?.dims ?? [];
    const value = allocate(device, [batch, Number(outer.inputDims(FEATURE)[1]), height, width]);
    features.set(place, { value, size });
    return value;
  }

  return {
    ...whole,
    outputNames: whole.outputNames.filter((name) => name !== FEATURE),
    async run(inputs) {
      const feature = nextFeature(inputs);
      if (feature) return outer.run(outerInputs(inputs, feature));
      const { [FEATURE]: kept, ...outputs } = await whole.run(inputs);
      if (kept) features.set(place, { value: { type: 'float32', ...kept }, size: sizeOf(inputs) });
      return outputs;
    },
    async runInto(inputs, outputs) {
      const feature = nextFeature(inputs);
      if (feature) return outer.runInto(outerInputs(inputs, feature), outputs);
      return whole.runInto(inputs, { ...outputs, [FEATURE]: room(inputs) });
    },
  };
}

/** Batch and sides. */
function sizeOf(inputs: Readonly<Record<string, TensorValue>>): string {
  const [batch, , ...sides] = inputs['sample']?.dims ?? [];
  return [batch, ...sides].join('×');
}

function allocate(
  device: GPUDevice | null,
  dims: readonly number[],
): Extract<TensorValue, { buffer: GPUBuffer }> {
  if (!device) throw new AppError('internal', 'A buffer was asked for where there is no GPU.');
  const buffer = device.createBuffer({
    size: 4 * dims.reduce((product, side) => product * side, 1),
    usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST,
  });
  return { type: 'float32', buffer, dims };
}

function firstNumber(value: TensorValue | undefined): number {
  return value && 'data' in value ? Number(value.data[0] ?? 0) : 0;
}
