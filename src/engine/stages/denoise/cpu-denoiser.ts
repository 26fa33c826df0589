import type { TensorValue } from '#engine/runtime/runtime.ts';
import type { DenoiserOutput } from '#engine/samplers/cpu-machine.ts';
import { repeat } from '#engine/samplers/latent-math.ts';
import type { DenoiseInstruction } from '#engine/samplers/program.ts';
import { AppError } from '#protocol/error.ts';
import {
  FULL_SCALE,
  imageDims,
  residualsOf,
  residualWeight,
  takesPart,
} from '#engine/stages/control/control.ts';
import { groupRows, planGuidance, type GuidanceRow } from './guidance.ts';
import {
  conditioningInputs,
  latentLength,
  outputName,
  rowsPerRun,
  type ExtraChannels,
  type GuidedUnet,
  type LatentShape,
} from './unet.ts';

/**
 * The guided network on arrays: called with the scaled latents of a batch, image after image, it answers
 * with the guided output. All passes of all images go in one run where memory allows.
 */
export function createCpuDenoiser(
  network: GuidedUnet,
): (input: Float32Array, instruction: DenoiseInstruction) => Promise<DenoiserOutput> {
  const { unet, shape, prompts, guidanceScale, extra } = network;
  const length = latentLength(shape);
  const limit = rowsPerRun(shape);
  const output = outputName(unet);
  const addResiduals = createResidualSum(network);
  let evaluation = 0;

  return async (input, { timestep, unconditionalTo, skipUnconditional = false }) => {
    const wants = { skipUnconditional, unconditional: unconditionalTo !== undefined };
    const rows = planGuidance(prompts, evaluation, guidanceScale, wants);
    const guided = new Float32Array(input.length);
    const unconditional = wants.unconditional ? new Float32Array(input.length) : undefined;

    for (const group of groupRows(rows, limit)) {
      const latents = new Float32Array(group.length * length);
      group.forEach(({ image }, row) => {
        latents.set(input.subarray(image * length, (image + 1) * length), row * length);
      });
      const sample = extra ? withExtraChannels(latents, extra, shape, group) : latents;
      const channels = shape.channels + (extra?.channels ?? 0);
      const outputs = await unet.run({
        sample: { type: 'float32', data: sample, dims: [group.length, channels, shape.height, shape.width] },
        ...conditioningInputs(unet, timestep, group),
        ...(await addResiduals(latents, group, timestep, evaluation)),
      });
      const result = outputs[output]?.data;
      if (result?.length !== group.length * length) {
        throw new AppError('integrity_failed', 'The UNet’s output has another shape than the latents.');
      }
      group.forEach((row, index) => {
        const from = index * length;
        const to = row.image * length;
        for (let i = 0; i < length; i++) {
          guided[to + i] = (guided[to + i] ?? 0) + row.weight * (result[from + i] ?? 0);
        }
        if (row.unconditional) unconditional?.set(result.subarray(from, from + length), to);
      });
    }
    evaluation++;
    return unconditional ? { guided, unconditional } : { guided };
  };
}

/** The rows' latents, each with the channels behind them that are the same in every step. */
function withExtraChannels(
  latents: Float32Array,
  { channels, data }: ExtraChannels,
  { height, width, ...shape }: LatentShape,
  rows: readonly GuidanceRow[],
): Float32Array {
  const length = latentLength({ ...shape, height, width });
  const extraLength = channels * height * width;
  const sample = new Float32Array(rows.length * (length + extraLength));
  rows.forEach(({ image }, row) => {
    const start = row * (length + extraLength);
    sample.set(latents.subarray(row * length, (row + 1) * length), start);
    sample.set(data.subarray(image * extraLength, (image + 1) * extraLength), start + length);
  });
  return sample;
}

type ResidualSum = (
  latents: Float32Array,
  rows: readonly GuidanceRow[],
  timestep: number,
  evaluation: number,
) => Promise<Record<string, TensorValue>>;

/** Runs the ControlNets that take part and sums up what they add within the UNet, by its inputs; zeros where none does. */
function createResidualSum({ controls, shape, evaluations }: GuidedUnet): ResidualSum {
  const [first] = controls;
  if (!first) return () => Promise.resolve({});
  return async (latents, rows, timestep, evaluation) => {
    const residuals = residualsOf(first.net, rows.length, shape);
    const sums = new Map(residuals.map(({ input, values }) => [input, new Float32Array(values)]));
    for (const control of controls.filter((each) => takesPart(each, evaluation, evaluations))) {
      const outputs = await control.net.run({
        sample: {
          type: 'float32',
          data: latents,
          dims: [rows.length, shape.channels, shape.height, shape.width],
        },
        ...conditioningInputs(control.net, timestep, rows),
        ...FULL_SCALE,
        controlnet_cond: {
          type: 'float32',
          data: repeat(control.image.data, rows.length),
          dims: imageDims(control, rows.length),
        },
      });
      for (const [index, { output, input }] of residuals.entries()) {
        const [sum, values] = [sums.get(input), outputs[output]?.data];
        if (!sum || !values) continue;
        const length = sum.length / rows.length;
        for (const [row, own] of rows.entries()) {
          const weight = residualWeight(control, own, index, residuals.length);
          for (let i = row * length; i < (row + 1) * length; i++) {
            sum[i] = (sum[i] ?? 0) + weight * (values[i] ?? 0);
          }
        }
      }
    }
    return Object.fromEntries(
      residuals.map(({ input, dims }) => [
        input,
        { type: 'float32', data: sums.get(input) ?? new Float32Array(), dims },
      ]),
    );
  };
}
