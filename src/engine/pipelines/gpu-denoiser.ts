import type { Session, TensorValue } from '#engine/runtime/runtime.ts';
import type { GpuArithmetic } from '#engine/samplers/gpu-arithmetic.ts';
import type { GpuMachineOptions } from '#engine/samplers/gpu-machine.ts';
import type { EncodedPrompt } from '#engine/text/encode.ts';
import { groupRows, planGuidance, type GuidanceRow } from './guidance.ts';
import {
  conditioningInputs,
  contextInput,
  latentLength,
  outputName,
  rowsPerRun,
  type ExtraChannels,
  type LatentShape,
} from './unet.ts';

/** A guided network on GPU buffers, and what frees its own. */
export interface GpuDenoiser {
  denoise: GpuMachineOptions['denoise'];
  close(): void;
}

/** Buffers of one run of the UNet with so many rows. */
interface RunBuffers {
  sample: GPUBuffer;
  output: GPUBuffer;
}

/** As the array denoiser, with latents, network outputs and prompts in GPU buffers; nothing is read back. */
export function createGpuDenoiser(
  arithmetic: GpuArithmetic,
  unet: Session,
  shape: LatentShape,
  prompts: readonly EncodedPrompt[],
  guidanceScale: number,
  extra?: ExtraChannels,
): GpuDenoiser {
  const length = latentLength(shape);
  const channels = shape.channels + (extra?.channels ?? 0);
  const rowLength = latentLength({ ...shape, channels });
  const extraBuffer = extra && arithmetic.allocate(extra.data.length);
  if (extraBuffer) arithmetic.upload(extraBuffer, extra.data);
  const limit = rowsPerRun(shape);
  const output = outputName(unet);
  const runs = new Map<string, RunBuffers>();
  const uploaded = new Map<string, GPUBuffer>();
  const contextIds = new Map<unknown, number>();
  let evaluation = 0;

  /** Runs of one step have buffers of their own: all outputs are needed until they are summed. */
  function buffersOf(index: number, rows: number): RunBuffers {
    const key = `${String(index)}:${String(rows)}`;
    const known = runs.get(key);
    if (known) return known;
    const buffers = {
      sample: arithmetic.allocate(rows * rowLength),
      output: arithmetic.allocate(rows * length),
    };
    runs.set(key, buffers);
    return buffers;
  }

  /** Prompts are uploaded once, not with every step. */
  function contexts(rows: readonly GuidanceRow[]): TensorValue {
    const ids = rows.map(({ context }) => {
      const id = contextIds.get(context) ?? contextIds.size;
      contextIds.set(context, id);
      return id;
    });
    const key = ids.join();
    const input = contextInput(rows);
    let buffer = uploaded.get(key);
    if (!buffer) {
      buffer = arithmetic.allocate(input.data.length);
      arithmetic.upload(buffer, input.data);
      uploaded.set(key, buffer);
    }
    return { type: 'float32', buffer, dims: input.dims };
  }

  return {
    async denoise(from, guided, unconditional, { timestep, inputScale, skipUnconditional = false }) {
      const wants = { skipUnconditional, unconditional: unconditional !== null };
      const rows = planGuidance(prompts, evaluation++, guidanceScale, wants);
      const outputs = new Map<GuidanceRow, { buffer: GPUBuffer; offset: number }>();

      for (const [index, group] of groupRows(rows, limit).entries()) {
        const buffers = buffersOf(index, group.length);
        for (const [row, { picture }] of group.entries()) {
          const slice = { weight: inputScale, buffer: from, offset: picture * length };
          arithmetic.combine(buffers.sample, row * rowLength, length, [slice]);
          if (!extraBuffer) continue;
          const extraLength = rowLength - length;
          const own = { weight: 1, buffer: extraBuffer, offset: picture * extraLength };
          arithmetic.combine(buffers.sample, row * rowLength + length, extraLength, [own]);
        }
        const dims = [group.length, shape.channels, shape.height, shape.width];
        await unet.runInto(
          {
            sample: {
              type: 'float32',
              buffer: buffers.sample,
              dims: [group.length, channels, shape.height, shape.width],
            },
            ...conditioningInputs(unet, timestep, group),
            encoder_hidden_states: contexts(group),
          },
          { [output]: { buffer: buffers.output, dims } },
        );
        group.forEach((row, i) => outputs.set(row, { buffer: buffers.output, offset: i * length }));
      }

      for (let picture = 0; picture < prompts.length; picture++) {
        const own = rows.filter((row) => row.picture === picture);
        const slices = own.flatMap((row) => {
          const result = outputs.get(row);
          return result ? [{ weight: row.weight, ...result }] : [];
        });
        arithmetic.combine(guided, picture * length, length, slices);
        const bare = own.find((row) => row.unconditional);
        const result = bare && outputs.get(bare);
        if (unconditional && result) {
          arithmetic.combine(unconditional, picture * length, length, [{ weight: 1, ...result }]);
        }
      }
    },
    close() {
      for (const { sample, output: result } of runs.values()) {
        sample.destroy();
        result.destroy();
      }
      for (const buffer of uploaded.values()) buffer.destroy();
      extraBuffer?.destroy();
    },
  };
}
