import { cumulativeAlphas, makeBetas } from '#engine/samplers/noise-schedule.ts';
import {
  degradeLatents,
  gaussianBlur2d,
  predictNoise,
  predictOriginal,
  type PredictionType,
} from '#imaging/diffusers/self-attention-guidance.ts';
import {
  checkTensor,
  planesOf,
  type CaseFiles,
  type Check,
  type ImageCase,
  type ReferenceTensor,
} from './reference.ts';

/** A call of self-attention guidance's functions. */
export interface SagCase extends ImageCase {
  timestep: number;
  prediction_type?: PredictionType;
  heads?: number;
  map_size?: [height: number, width: number];
}

/** SD 1.5's. */
const alphaProducts = cumulativeAlphas(
  makeBetas({ schedule: 'scaled_linear', start: 0.00085, end: 0.012, steps: 1000 }),
);

/** Compares what a case has: the two predictions, and the degraded latents where there is attention. */
export async function sagFunctionChecks(reference: SagCase, files: CaseFiles): Promise<Check[]> {
  const alphaProduct = alphaProducts[reference.timestep] ?? NaN;
  const degrades = reference.heads !== undefined;
  const sample = await files.tensor(degrades ? 'pred_x0' : 'sample');
  const prediction = await files.tensor(degrades ? 'eps' : 'model_output');
  const args = [sample.data, prediction.data, alphaProduct, reference.prediction_type ?? 'epsilon'] as const;
  return [
    checkTensor('image', predictOriginal(...args), await files.tensor('pred_x0_of')),
    checkTensor('noise', predictNoise(...args), await files.tensor('pred_epsilon_of')),
    ...(degrades ? await degradationChecks(reference, files, alphaProduct) : []),
  ];
}

async function degradationChecks(
  { heads = 1, map_size: [height, width] = [0, 0] }: SagCase,
  files: CaseFiles,
  alphaProduct: number,
): Promise<Check[]> {
  const [latents, noise] = [await files.tensor('pred_x0'), await files.tensor('eps')];
  const attention = await files.tensor('attention');
  const batch = latents.shape[0] ?? 1;
  const part = ({ data }: ReferenceTensor, i: number) =>
    data.subarray((i * data.length) / batch, ((i + 1) * data.length) / batch);
  const degraded = Array.from({ length: batch }, (_, i) =>
    degradeLatents(
      planesOf({ shape: latents.shape, data: part(latents, i) }),
      { heads, height, width, data: part(attention, i) },
      part(noise, i),
      alphaProduct,
    ),
  );
  const all = Float32Array.from(degraded.flatMap(({ data }) => [...data]));
  return [
    checkTensor('blurred', gaussianBlur2d(planesOf(latents)).data, await files.tensor('blurred')),
    checkTensor('degraded', all, await files.tensor('degraded')),
  ];
}
