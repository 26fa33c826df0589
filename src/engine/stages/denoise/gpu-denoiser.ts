import type { TensorValue } from '#engine/runtime/runtime.ts';
import type { GpuArithmetic } from '#engine/samplers/gpu-arithmetic.ts';
import type { GpuMachineOptions } from '#engine/samplers/gpu-machine.ts';
import {
  controlInput,
  FULL_SCALE,
  residualsOf,
  residualWeight,
  takesPart,
} from '#engine/stages/control/control.ts';
import { elementCount } from '#weights/tensor-source.ts';
import { groupRows, planGuidance, type GuidanceRow } from './guidance.ts';
import { regionInputs, scalesInput, tokensInput } from './image-prompt-inputs.ts';
import {
  conditioningInputs,
  contextInput,
  featureInput,
  latentLength,
  outputName,
  rowsPerRun,
  type GuidedUnet,
} from './unet.ts';

/** A guided network on GPU buffers, and what frees its own. */
export interface GpuDenoiser {
  /** @param call counted from 0 */
  denoise(...call: [...Parameters<GpuMachineOptions['denoise']>, call: number]): Promise<void>;
  close(): void;
}

/** As the array denoiser, with latents, network outputs and prompts in GPU buffers; nothing is read back. */
export function createGpuDenoiser(arithmetic: GpuArithmetic, network: GuidedUnet): GpuDenoiser {
  const { unet, shape, prompts, guidanceScale, fooocus, extra, controls } = network;
  const { imagePrompts = [], evaluations } = network;
  const length = latentLength(shape);
  const channels = shape.channels + (extra?.channels ?? 0);
  const rowLength = latentLength({ ...shape, channels });
  const limit = network.rowsPerRun ?? rowsPerRun(shape);
  const output = outputName(unet);
  const regions = regionInputs(unet, imagePrompts, shape);
  const buffers = new Map<string, GPUBuffer>();
  const contextIds = new Map<unknown, number>();

  /** A buffer that is allocated, and filled if needed, on first use. */
  function bufferOf(key: string, values: number, fill?: () => Float32Array): GPUBuffer {
    const known = buffers.get(key);
    if (known) return known;
    const buffer = arithmetic.allocate(values);
    if (fill) arithmetic.upload(buffer, fill());
    buffers.set(key, buffer);
    return buffer;
  }

  /** Prompts are uploaded once, not with every step. */
  function contexts(rows: readonly GuidanceRow[]): TensorValue {
    const ids = rows.map(({ context }) => {
      const id = contextIds.get(context) ?? contextIds.size;
      contextIds.set(context, id);
      return id;
    });
    const { data, dims } = contextInput(rows);
    const buffer = bufferOf(`contexts ${ids.join()}`, data.length, () => data);
    return { type: 'float32', buffer, dims };
  }

  /** The tokens of image prompts, uploaded once as well, and how much the images count in this step. */
  function imageInputs(rows: readonly GuidanceRow[], step: number): Record<string, TensorValue> {
    const pattern = rows.map(({ unconditional }) => (unconditional ? '-' : '+')).join('');
    return Object.fromEntries(
      imagePrompts.flatMap((group, index): [string, TensorValue][] => {
        const { data, dims } = tokensInput(group, rows);
        const buffer = bufferOf(`images ${index} ${pattern}`, data.length, () => data);
        return [
          [`ip_hidden_states_${index}`, { type: 'float32', buffer, dims }],
          [`ip_scale_${index}`, scalesInput(group, unet.inputDims(`ip_scale_${index}`), step, evaluations)],
        ];
      }),
    );
  }

  /** What an inpaint patch adds to the first layer's output, uploaded once. */
  function featureInputs(rows: readonly GuidanceRow[]): Record<string, TensorValue> {
    const feature = featureInput(network, rows);
    if (!feature) return {};
    const { dims, gather } = feature;
    const key = `feature ${rows.map(({ image }) => image).join()}`;
    return { inpaint_feature: { type: 'float32', buffer: bufferOf(key, elementCount(dims), gather), dims } };
  }

  /** The latents of these rows, each followed by `rest` unset values. */
  function gather(key: string, rows: readonly GuidanceRow[], from: GPUBuffer, scale: number, rest: number) {
    const buffer = bufferOf(key, rows.length * (length + rest));
    for (const [row, { image }] of rows.entries()) {
      const slice = { weight: scale, buffer: from, offset: image * length };
      arithmetic.combine(buffer, row * (length + rest), length, [slice]);
    }
    return buffer;
  }

  /** Sums up what the ControlNets that take part add within the UNet, by its inputs; zeros where none does. */
  async function residualInputs(
    key: string,
    rows: readonly GuidanceRow[],
    inputs: Readonly<Record<string, TensorValue>>,
    latents: () => TensorValue,
    step: number,
  ): Promise<Record<string, TensorValue>> {
    const [first] = controls;
    if (!first) return {};
    const residuals = residualsOf(first.net, rows.length, shape);
    const active = [...controls.entries()].filter(([, control]) => takesPart(control, step, evaluations));
    for (const [index, control] of active) {
      const { data, dims } = controlInput(control, rows);
      const places = control.images.length > 1 ? rows.map(({ image }) => image).join() : rows.length;
      const images = bufferOf(`image ${index} ${places}`, data.length, () => data);
      const own = Object.entries(inputs).filter(([name]) => control.net.inputNames.includes(name));
      await control.net.runInto(
        {
          ...Object.fromEntries(own),
          sample: latents(),
          ...FULL_SCALE,
          controlnet_cond: { type: 'float32', buffer: images, dims },
        },
        Object.fromEntries(
          residuals.map(({ output: name, dims, values }) => [
            name,
            { buffer: bufferOf(`${name} ${index} ${key}`, values), dims },
          ]),
        ),
      );
    }
    return Object.fromEntries(
      residuals.map(({ output: name, input, dims, values }, position) => {
        const sum = bufferOf(`${input} ${key}`, values);
        const ofRow = values / rows.length;
        for (const [row, guidance] of rows.entries()) {
          const slices = active.map(([index, control]) => ({
            weight: residualWeight(control, guidance, position, residuals.length),
            buffer: bufferOf(`${name} ${index} ${key}`, values),
            offset: row * ofRow,
          }));
          arithmetic.combine(sum, row * ofRow, ofRow, slices);
        }
        return [input, { type: 'float32', buffer: sum, dims }];
      }),
    );
  }

  return {
    async denoise(from, guided, unconditional, { timestep, inputScale, skipUnconditional = false }, step) {
      const wants = { skipUnconditional, unconditional: unconditional !== null };
      const scale = fooocus?.scaleAt(guidanceScale, timestep) ?? guidanceScale;
      const rows = planGuidance(prompts, step, scale, wants);
      const outputs = new Map<GuidanceRow, { buffer: GPUBuffer; offset: number }>();

      for (const [index, group] of groupRows(rows, limit).entries()) {
        // Runs of one step have buffers of their own: all outputs are needed until they are summed.
        const key = `${index}:${group.length}`;
        const sample = gather(`sample ${key}`, group, from, inputScale, rowLength - length);
        const result = bufferOf(`output ${key}`, group.length * length);
        if (extra) {
          const own = bufferOf('extra', extra.data.length, () => extra.data);
          const extraLength = rowLength - length;
          for (const [row, { image }] of group.entries()) {
            const slice = { weight: 1, buffer: own, offset: image * extraLength };
            arithmetic.combine(sample, row * rowLength + length, extraLength, [slice]);
          }
        }
        const dimsOf = (count: number) => [group.length, count, shape.height, shape.width];
        const inputs = {
          ...conditioningInputs(unet, timestep, group),
          encoder_hidden_states: contexts(group),
        };
        const latents = (): TensorValue => ({
          type: 'float32',
          buffer: extra ? gather(`latents ${key}`, group, from, inputScale, 0) : sample,
          dims: dimsOf(shape.channels),
        });
        await unet.runInto(
          {
            ...inputs,
            ...imageInputs(group, step),
            ...regions,
            ...featureInputs(group),
            ...(await residualInputs(key, group, inputs, latents, step)),
            sample: { type: 'float32', buffer: sample, dims: dimsOf(channels) },
          },
          { [output]: { buffer: result, dims: dimsOf(shape.channels) } },
        );
        group.forEach((row, i) => outputs.set(row, { buffer: result, offset: i * length }));
      }

      for (let image = 0; image < prompts.length; image++) {
        const own = rows.filter((row) => row.image === image);
        const slices = own.flatMap((row) => {
          const result = outputs.get(row);
          return result ? [{ weight: row.weight, ...result }] : [];
        });
        arithmetic.combine(guided, image * length, length, slices);
        const bare = own.find((row) => row.unconditional);
        const result = bare && outputs.get(bare);
        if (unconditional && result) {
          arithmetic.combine(unconditional, image * length, length, [{ weight: 1, ...result }]);
        }
      }
    },
    close() {
      for (const buffer of buffers.values()) buffer.destroy();
    },
  };
}
