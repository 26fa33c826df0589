import type { Session, TensorValue } from '#engine/runtime/runtime.ts';
import type { Context, EncodedPrompt } from '#engine/text/encode.ts';
import { AppError } from '#protocol/error.ts';
import type { Control } from '#engine/stages/control/control.ts';
import type { ShownImages } from '#engine/stages/image-prompts/read-image-prompts.ts';
import type { FooocusGuider } from './fooocus-guider.ts';
import type { GuidanceRow } from './guidance.ts';
import type { SelfAttentionGuidance } from './self-attention.ts';

/** Latents of one image. */
export interface LatentShape {
  channels: number;
  height: number;
  width: number;
}

/** Planes as large as the latents, the same in each step. */
export interface PlaneBatch {
  channels: number;
  /** Image after image. */
  data: Float32Array;
}

/** A network that is given what is to be generated, and how it is guided. */
export interface GuidedUnet {
  unet: Session;
  /** Of one image's latents. */
  shape: LatentShape;
  /** One for each image of the batch. */
  prompts: readonly EncodedPrompt[];
  guidanceScale: number;
  /** Channels that inpainting models take besides the latents: the mask and the masked image's. */
  extra?: PlaneBatch | undefined;
  /** What is added to the first layer's output, see {@link inpaintFeature}. */
  inpaintFeature?: PlaneBatch | undefined;
  controls: readonly Control[];
  imagePrompts?: readonly ShownImages[];
  /** Of the network in the whole run, or about so many. */
  evaluations: number;
  /** Rows of one run at most; by default as many as the size allows. */
  rowsPerRun?: number;
  selfAttention?: SelfAttentionGuidance | undefined;
  fooocus?: FooocusGuider | undefined;
}

/** Latent cells of one run: SD 1.5 at 512×512 with guidance and two images. More go in several runs. */
const CELLS_PER_RUN = 4 * 64 * 64;

/** How many rows of this size go into one run. */
export function rowsPerRun({ height, width }: LatentShape): number {
  return Math.max(1, Math.floor(CELLS_PER_RUN / (height * width)));
}

/** Values of one image's latents. */
export function latentLength({ channels, height, width }: LatentShape): number {
  return channels * height * width;
}

/** The timestep in the type and shape an exported UNet declares: one value, or one a row. */
function timestepInput(unet: Session, timestep: number, rows: number): TensorValue {
  const [first] = unet.inputDims('timestep');
  const count = typeof first === 'string' ? rows : 1;
  const dims = unet.inputDims('timestep').length === 0 ? [] : [count];
  switch (unet.inputType('timestep')) {
    case 'int64':
      return { type: 'int64', data: new BigInt64Array(count).fill(BigInt(Math.round(timestep))), dims };
    case 'int32':
      return { type: 'int32', data: new Int32Array(count).fill(Math.round(timestep)), dims };
    case 'float32':
    case 'float16':
      return { type: 'float32', data: new Float32Array(count).fill(timestep), dims };
    default:
      throw new AppError(
        'unsupported_feature',
        `A UNet whose timestep is ${unet.inputType('timestep')} cannot run.`,
      );
  }
}

type ContextInput = Extract<TensorValue, { data: Float32Array }>;

/** By the context of the first row, the contexts of all: steps have the same rows for the most part. */
const joined = new WeakMap<Context, { contexts: readonly Context[]; input: ContextInput }>();

/** The contexts of rows of one length, row after row. */
export function contextInput(rows: readonly GuidanceRow[]): ContextInput {
  const contexts = rows.map(({ context }) => context);
  const [first] = contexts;
  const known = first && joined.get(first);
  if (known?.contexts.length === rows.length && known.contexts.every((each, row) => each === contexts[row]))
    return known.input;
  const { tokens, width } = first ?? { tokens: 0, width: 0 };
  const data = new Float32Array(rows.length * tokens * width);
  contexts.forEach((context, row) => data.set(context.data, row * tokens * width));
  const input: ContextInput = { type: 'float32', data, dims: [rows.length, tokens, width] };
  if (first) joined.set(first, { contexts, input });
  return input;
}

/**
 * Everything a run of the UNet, or of a ControlNet, takes besides the latents: timestep, contexts, and what goes with
 * them.
 */
export function conditioningInputs(
  unet: Session,
  timestep: number,
  rows: readonly GuidanceRow[],
): Record<string, TensorValue> {
  const inputs: Record<string, TensorValue> = {
    timestep: timestepInput(unet, timestep, rows.length),
    encoder_hidden_states: contextInput(rows),
  };
  for (const [name, { length }] of Object.entries(rows[0]?.context.added ?? {})) {
    // A ControlNet does not take all that its UNet does.
    if (!unet.inputNames.includes(name)) continue;
    const data = new Float32Array(rows.length * length);
    rows.forEach(({ context }, row) => data.set(addedAt(context, timestep)?.[name] ?? [], row * length));
    inputs[name] = { type: 'float32', data, dims: [rows.length, length] };
  }
  return inputs;
}

function addedAt({ added, addedLate }: Context, timestep: number): Context['added'] {
  return addedLate && timestep <= addedLate.from ? addedLate.added : added;
}

/** The scale that guidance is summed up with: 1, no guidance, where the UNet takes the scale itself. */
export function summedGuidanceScale(unet: Session, guidanceScale: number): number {
  return unet.inputNames.includes('timestep_cond') ? 1 : guidanceScale;
}

/** What a UNet with an inpaint patch is given for these rows, one after the other; null for others. */
export function featureInput(
  { inpaintFeature, shape }: GuidedUnet,
  rows: readonly GuidanceRow[],
): { dims: readonly [number, number, number, number]; gather: () => Float32Array<ArrayBuffer> } | null {
  if (!inpaintFeature) return null;
  const { channels, data: all } = inpaintFeature;
  const length = latentLength({ ...shape, channels });
  return {
    dims: [rows.length, channels, shape.height, shape.width],
    gather() {
      const data = new Float32Array(rows.length * length);
      rows.forEach(({ image }, row) =>
        data.set(all.subarray(image * length, (image + 1) * length), row * length),
      );
      return data;
    },
  };
}

/** The UNet's one output. */
export function outputName(unet: Session): string {
  const [name] = unet.outputNames;
  if (name === undefined) throw new AppError('integrity_failed', 'The UNet has no output.');
  return name;
}
