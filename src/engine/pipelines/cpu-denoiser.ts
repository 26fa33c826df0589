import type { Session } from '#engine/runtime/runtime.ts';
import type { DenoiserOutput } from '#engine/samplers/cpu-machine.ts';
import type { DenoiseInstruction } from '#engine/samplers/program.ts';
import type { EncodedPrompt } from '#engine/text/encode.ts';
import { AppError } from '#protocol/error.ts';
import { groupRows, planGuidance } from './guidance.ts';
import {
  conditioningInputs,
  latentLength,
  outputName,
  rowsPerRun,
  type ExtraChannels,
  type LatentShape,
} from './unet.ts';

/**
 * The guided network on arrays: called with the scaled latents of a batch, picture after picture, it answers
 * with the guided output. All passes of all pictures go in one run where memory allows.
 */
export function createCpuDenoiser(
  unet: Session,
  shape: LatentShape,
  prompts: readonly EncodedPrompt[],
  guidanceScale: number,
  extra?: ExtraChannels,
): (input: Float32Array, instruction: DenoiseInstruction) => Promise<DenoiserOutput> {
  const length = latentLength(shape);
  const channels = shape.channels + (extra?.channels ?? 0);
  const rowLength = latentLength({ ...shape, channels });
  const limit = rowsPerRun(shape);
  const output = outputName(unet);
  let evaluation = 0;

  return async (input, { timestep, unconditionalTo, skipUnconditional = false }) => {
    const wants = { skipUnconditional, unconditional: unconditionalTo !== undefined };
    const rows = planGuidance(prompts, evaluation++, guidanceScale, wants);
    const guided = new Float32Array(input.length);
    const unconditional = wants.unconditional ? new Float32Array(input.length) : undefined;

    for (const group of groupRows(rows, limit)) {
      const sample = new Float32Array(group.length * rowLength);
      group.forEach(({ picture }, row) => {
        sample.set(input.subarray(picture * length, (picture + 1) * length), row * rowLength);
        if (!extra) return;
        const extraLength = rowLength - length;
        const own = extra.data.subarray(picture * extraLength, (picture + 1) * extraLength);
        sample.set(own, row * rowLength + length);
      });
      const outputs = await unet.run({
        sample: {
          type: 'float32',
          data: sample,
          dims: [group.length, channels, shape.height, shape.width],
        },
        ...conditioningInputs(unet, timestep, group),
      });
      const result = outputs[output]?.data;
      if (result?.length !== group.length * length) {
        throw new AppError('integrity_failed', 'The UNet’s output has another shape than the latents.');
      }
      group.forEach((row, index) => {
        const from = index * length;
        const to = row.picture * length;
        for (let i = 0; i < length; i++) {
          guided[to + i] = (guided[to + i] ?? 0) + row.weight * (result[from + i] ?? 0);
        }
        if (row.unconditional) unconditional?.set(result.subarray(from, from + length), to);
      });
    }
    return unconditional ? { guided, unconditional } : { guided };
  };
}
