import type { FloatTensor } from '#engine/runtime/runtime.ts';
import type { DenoiserOutput } from '#engine/samplers/cpu-machine.ts';
import type { DenoiseInstruction } from '#engine/samplers/program.ts';
import { AppError, toAppError } from '#protocol/error.ts';
import { restoreOutput } from '#engine/stages/control/restoration.ts';
import { createResidualSum } from './control-residuals.ts';
import { groupRows, planGuidance, type GuidanceRow } from './guidance.ts';
import { isSharpened } from './fooocus-guider.ts';
import { imagePromptInputs, regionInputs } from './image-prompt-inputs.ts';
import { degradeRows, type GuidedRow } from './self-attention.ts';
import {
  conditioningInputs,
  featureInput,
  latentLength,
  outputName,
  rowsPerRun,
  type GuidedUnet,
  type LatentShape,
  type PlaneBatch,
} from './unet.ts';

/**
 * A guided network on arrays: called with the scaled latents of a batch, image after image, it answers with the guided
 * output.
 * @param call counted from 0
 */
export type CpuDenoiser = (
  input: Float32Array,
  instruction: DenoiseInstruction,
  call: number,
) => Promise<DenoiserOutput>;

/** All passes of all images go in one run where memory allows, and one by one where it turns out not to. */
export function createCpuDenoiser(network: GuidedUnet): CpuDenoiser {
  const { prompts, guidanceScale, selfAttention, fooocus, shape } = network;
  const sharpener = isSharpened(network) ? fooocus : undefined;
  const length = latentLength(shape);
  const runRows = createRowRunner(network);

  return async (input, { timestep, unconditionalTo, skipUnconditional = false }, call) => {
    const wants = { skipUnconditional, unconditional: unconditionalTo !== undefined };
    const scale = fooocus?.scaleAt(guidanceScale, timestep) ?? guidanceScale;
    const rows = planGuidance(prompts, call, scale, wants);
    const guided = new Float32Array(input.length);
    const unconditional = wants.unconditional ? new Float32Array(input.length) : undefined;
    const latentsOf = ({ image }: GuidanceRow) => input.subarray(image * length, (image + 1) * length);
    const add = (image: number, weight: number, values: Float32Array) => {
      for (let i = 0, to = image * length; i < length; i++, to++) {
        guided[to] = (guided[to] ?? 0) + weight * (values[i] ?? 0);
      }
    };

    const results = await runRows(rows, latentsOf, timestep, call);
    for (const { row, output } of results) {
      const counted =
        sharpener && !row.unconditional ? sharpener.sharpen(latentsOf(row), output, shape, timestep) : output;
      add(row.image, row.weight, counted);
      if (row.unconditional) unconditional?.set(output, row.image * length);
    }
    if (selfAttention && selfAttention.scale !== 0) {
      const degraded = degradeRows(results, latentsOf, selfAttention, { shape, timestep });
      const latentsOfRow = (row: GuidanceRow) => degraded.get(row) ?? latentsOf(row);
      for (const { row, output } of await runRows([...degraded.keys()], latentsOfRow, timestep, call)) {
        const own = results.find((result) => result.row === row)?.output;
        if (!own) continue;
        add(row.image, selfAttention.scale, own);
        add(row.image, -selfAttention.scale, output);
      }
    }
    return unconditional ? { guided, unconditional } : { guided };
  };
}

type RowRunner = (
  rows: readonly GuidanceRow[],
  latentsOf: (row: GuidanceRow) => Float32Array,
  timestep: number,
  call: number,
) => Promise<GuidedRow[]>;

/** Runs the network on rows, in as few runs as there may be. */
function createRowRunner(network: GuidedUnet): RowRunner {
  const { unet, shape, extra, imagePrompts = [], evaluations } = network;
  const output = outputName(unet);
  const addResiduals = createResidualSum(network);
  const regions = regionInputs(unet, imagePrompts, shape);
  const restorations = network.controls.flatMap(({ restoration }) => restoration ?? []);
  const length = latentLength(shape);
  let limit = network.rowsPerRun ?? rowsPerRun(shape);

  async function runGroup(...[rows, latentsOf, timestep, call]: Parameters<RowRunner>): Promise<GuidedRow[]> {
    const latents = new Float32Array(rows.length * length);
    rows.forEach((row, index) => latents.set(latentsOf(row), index * length));
    const sample = extra ? withExtraChannels(latents, extra, shape, rows) : latents;
    const channels = shape.channels + (extra?.channels ?? 0);
    const feature = featureInput(network, rows);
    const outputs = await unet.run({
      sample: { type: 'float32', data: sample, dims: [rows.length, channels, shape.height, shape.width] },
      ...conditioningInputs(unet, timestep, rows),
      ...imagePromptInputs(unet, imagePrompts, rows, call, evaluations),
      ...regions,
      ...(feature && {
        inpaint_feature: { type: 'float32', data: feature.gather(), dims: feature.dims } as const,
      }),
      ...(await addResiduals(latents, rows, timestep, call)),
    });
    const result = outputs[output]?.data;
    if (result?.length !== rows.length * length) {
      throw new AppError('integrity_failed', 'The UNet’s output has another shape than the latents.');
    }
    const attention = outputs[SELF_ATTENTION];
    return rows.map((row, index) => ({
      row,
      output: restorations.reduce(
        (output, each) => restoreOutput(each, latentsOf(row), output, timestep),
        result.subarray(index * length, (index + 1) * length),
      ),
      ...(attention && { attention: partOf(attention, index, rows.length) }),
    }));
  }

  return async (rows, ...how) => {
    const results: GuidedRow[] = [];
    const groups = groupRows(rows, limit);
    for (let group = groups.shift(); group; group = groups.shift()) {
      try {
        results.push(...(await runGroup(group, ...how)));
      } catch (thrown) {
        if (group.length === 1 || toAppError(thrown).code !== 'out_of_memory') throw thrown;
        limit = 1;
        groups.unshift(...group.map((row) => [row]));
      }
    }
    return results;
  };
}

/** The output of a UNet built with `selfAttention`. */
const SELF_ATTENTION = 'mid_block_self_attention';

function partOf({ data }: FloatTensor, index: number, count: number): Float32Array {
  const length = data.length / count;
  return data.subarray(index * length, (index + 1) * length);
}

/** The rows' latents, each followed by the channels that are the same in every step. */
function withExtraChannels(
  latents: Float32Array,
  { channels, data }: PlaneBatch,
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
