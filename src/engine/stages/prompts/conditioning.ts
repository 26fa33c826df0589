import type { LoadedModel, TextEncoder } from '#engine/models/model.ts';
import type { Session, TensorValue } from '#engine/runtime/runtime.ts';
import { chunkKey, repadIds } from '#engine/text/chunk.ts';
import {
  cacheChunks,
  encodePrompt,
  type Context,
  type EncodeChunk,
  type EncodedPrompt,
} from '#engine/text/encode.ts';
import { joinEncoders } from '#engine/text/join-encoders.ts';
import { AppError } from '#protocol/error.ts';
import { roundTo64, scaledSizesUntil } from '#imaging/fooocus/guidance.ts';
import type { FooocusGuidance, PromptOptions, Size, SizeConditioning } from '#protocol/job.ts';
import type { ReadPrompts } from './read-prompts.ts';

/** What prompts are encoded for. */
export interface ConditioningOptions {
  promptOptions: PromptOptions;
  guidanceScale: number;
  /** Pixels that the networks run at. */
  size: Size;
  sizeConditioning?: SizeConditioning | undefined;
  fooocusSizes?: FooocusGuidance['sizes'] | undefined;
}

/**
 * Runs a model's text encoders on prompts and completes what they give to all that the UNet is given.
 *
 * @param note called with what of a prompt has no effect
 * @throws AppError `unsupported_feature` for a text encoder without the layer it takes, and what the runtime throws
 */
export async function encodeConditioning(
  model: LoadedModel,
  { plan, hasNegative }: ReadPrompts,
  options: ConditioningOptions,
  note: (text: string) => void,
): Promise<EncodedPrompt> {
  const { promptOptions, guidanceScale } = options;
  const prompts: EncodedPrompt[] = [];
  for (const encode of chunkEncodersOf(model, promptOptions.clipSkip)) {
    const encodeNoting: EncodeChunk = async (chunk) => {
      const encoded = await encode(chunk);
      if (encoded.ignoresClipSkip)
        note('Clip skip had no effect: this model’s text encoder only gives its last layer.');
      return encoded;
    };
    prompts.push(await encodePrompt(plan, encodeNoting));
  }
  const isZeroed = !hasNegative && zeroesNoNegative(model, promptOptions);
  return joinEncoders(prompts, (joined, isNegative) => {
    const context = isNegative && isZeroed ? toZeros(joined) : joined;
    const added = (sizes: Required<SizeConditioning>) =>
      addedInputs(model.unet, context, { sizes, guidanceScale, isNegative });
    const { sizes, late } = sizesOf(model, options, isNegative);
    return {
      ...context,
      added: added(sizes),
      ...(late && { addedLate: { from: late.from, added: added(late.sizes) } }),
    };
  });
}

/** The sizes that a UNet is given, and those that take their place from a timestep on downwards. */
function sizesOf(
  { pack }: Pick<LoadedModel, 'pack'>,
  { size, sizeConditioning = {}, fooocusSizes }: ConditioningOptions,
  isNegative: boolean,
): { sizes: Required<SizeConditioning>; late?: { from: number; sizes: Required<SizeConditioning> } } {
  const crop = { x: 0, y: 0 };
  // Fooocus' patch is one of SDXL's base model.
  if (!fooocusSizes || pack.family !== 'sdxl') {
    // A model of one trained size was never told another, so it is not told of others that it is run at.
    const [trained] = pack.sizing === 'trained' ? pack.trainedSizes : [];
    const told = trained ? { width: trained[0], height: trained[1] } : size;
    return { sizes: { original: told, crop, target: told, ...sizeConditioning } };
  }
  const scale = fooocusSizes[isNegative ? 'negative' : 'positive'];
  const original = { width: Math.trunc(size.width * scale), height: Math.trunc(size.height * scale) };
  const target = { width: roundTo64(size.width), height: roundTo64(size.height) };
  return {
    sizes: { original, crop, target },
    late: { from: scaledSizesUntil(fooocusSizes.end), sizes: { original: target, crop, target } },
  };
}

/** Whether a model is one of SDXL's two, which read the layer before the last. */
const isSdxl = ({ pack }: Pick<LoadedModel, 'pack'>) =>
  pack.family === 'sdxl' || pack.family === 'sdxl-refiner';

/**
 * Whether no negative prompt is given as zeros: A1111 does so for both of SDXL's models (sd_models_xl.py), diffusers for the
 * base model only (`force_zeros_for_empty_prompt` in their model_index.json).
 */
function zeroesNoNegative(model: LoadedModel, { syntax }: PromptOptions): boolean {
  if (!isSdxl(model) || syntax === 'fooocus') return false;
  return syntax === 'a1111' || model.pack.family !== 'sdxl-refiner';
}

function toZeros(context: Context): Context {
  const { data, pooled } = context;
  return {
    ...context,
    data: new Float32Array(data.length),
    pooled: pooled && new Float32Array(pooled.length),
  };
}

/** Both diffusers' and A1111's defaults. */
const AESTHETIC_SCORE = { positive: 6, negative: 2.5 };

/** What a UNet is given besides timestep and context, by the names of its inputs. */
function addedInputs(
  unet: Session,
  { pooled }: Context,
  {
    sizes: { original, crop, target },
    guidanceScale,
    isNegative,
  }: { sizes: Required<SizeConditioning>; guidanceScale: number; isNegative: boolean },
): Record<string, Float32Array> {
  const added: Record<string, Float32Array> = {};
  if (unet.inputNames.includes('text_embeds')) {
    if (!pooled) throw new AppError('integrity_failed', 'The text encoders have no pooled output.');
    added['text_embeds'] = pooled;
  }
  // SDXL: original size, crop and target size; its refiner has an aesthetic score in place of the last.
  if (unet.inputNames.includes('time_ids')) {
    const rest =
      unet.inputDims('time_ids')[1] === 5
        ? [AESTHETIC_SCORE[isNegative ? 'negative' : 'positive']]
        : [target.height, target.width];
    added['time_ids'] = Float32Array.of(original.height, original.width, crop.y, crop.x, ...rest);
  }
  if (unet.inputNames.includes('timestep_cond')) {
    const length = unet.inputDims('timestep_cond')[1];
    added['timestep_cond'] = embedGuidanceScale(guidanceScale - 1, typeof length === 'number' ? length : 256);
  }
  return added;
}

/**
 * How latent consistency models are given the guidance scale: sines, then cosines, of 1000·w.
 * Source: diffusers, LatentConsistencyModelPipeline.get_guidance_scale_embedding.
 */
export function embedGuidanceScale(w: number, length: number): Float32Array {
  const half = Math.floor(length / 2);
  const embedding = new Float32Array(length);
  for (let i = 0; i < half; i++) {
    const angle = 1000 * w * Math.exp((-Math.log(10000) * i) / (half - 1));
    embedding[i] = Math.sin(angle);
    embedding[half + i] = Math.cos(angle);
  }
  return embedding;
}

/** Equal texts are encoded once as long as the networks are in use. */
const cached = new WeakMap<LoadedModel['textEncoders'], Map<number, readonly EncodeChunk[]>>();

function chunkEncodersOf(model: LoadedModel, clipSkip: number): readonly EncodeChunk[] {
  const ofModel = cached.get(model.textEncoders) ?? new Map<number, readonly EncodeChunk[]>();
  cached.set(model.textEncoders, ofModel);
  const encoders =
    ofModel.get(clipSkip) ??
    model.textEncoders.map((encoder, index) =>
      cacheChunks(
        keptBeyondVisits(model, encoder, clipSkip, createChunkEncoder(model, encoder, index, clipSkip)),
      ),
    );
  ofModel.set(clipSkip, encoders);
  return encoders;
}

/** Raised when the same text and the same weights give other numbers than before. */
const ENCODING = 1;

/** Looks first whether an earlier visit has encoded a chunk, and keeps what is new for later ones. */
function keptBeyondVisits(
  { pack, encodedChunks }: LoadedModel,
  { key, padId }: TextEncoder,
  clipSkip: number,
  encode: EncodeChunk,
): EncodeChunk {
  if (!encodedChunks) return encode;
  return async (chunk) => {
    const text = JSON.stringify([ENCODING, pack, key, padId, clipSkip, chunkKey(chunk)]);
    const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text));
    // Without storage it is slower, nothing else.
    const known = await encodedChunks.get(digest).catch(() => undefined);
    if (known) return known;
    const encoded = await encode(chunk);
    // What a failing device has made of it must not outlive the device.
    if (encoded.hidden.every(Number.isFinite)) encodedChunks.put(digest, encoded).catch(() => undefined);
    return encoded;
  };
}

/** Numbers of the layers whose states a text encoder gives. */
function layersOf(session: Session, prefix: string): number[] {
  return session.outputNames.flatMap((name) =>
    name.startsWith(prefix) ? Number(name.slice(prefix.length)) : [],
  );
}

/** SD 1 and 2: the last layer, or the one that a clip skip takes, through the final norm. */
function lastLayer(session: Session, clipSkip: number): string {
  const last = Math.max(...layersOf(session, 'normed_hidden_states.')) + 1;
  const name = `normed_hidden_states.${String(last - clipSkip + 1)}`;
  return clipSkip > 1 && session.outputNames.includes(name) ? name : 'last_hidden_state';
}

/** SDXL: the layer that many before the last, as it is. Undefined where the encoder does not give it. */
function earlierLayer(session: Session, clipSkip: number): string | undefined {
  const layers = layersOf(session, 'hidden_states.');
  // Exports give every state from 0 on, or only the one before the last, as the engine's own graphs start with it.
  const last = Math.max(...layers) + (layers.includes(0) ? 0 : 1);
  const name = `hidden_states.${String(last - clipSkip + 1)}`;
  return session.outputNames.includes(name) ? name : undefined;
}

function createChunkEncoder(
  model: LoadedModel,
  { open, padId, tokenTable }: TextEncoder,
  index: number,
  clipSkip: number,
): EncodeChunk {
  const takesEarlier = isSdxl(model);
  return async ({ ids: chunkIds, embeddings }) => {
    const session = await open();
    const layer = takesEarlier ? earlierLayer(session, Math.max(clipSkip, 2)) : lastLayer(session, clipSkip);
    if (layer === undefined) {
      throw new AppError(
        'unsupported_feature',
        `A text encoder of ${model.pack.title} lacks the layer that its UNet reads.`,
      );
    }
    const [input] = session.inputNames;
    if (input === undefined) throw new AppError('integrity_failed', 'The text encoder has no input.');
    const ids = repadIds(chunkIds, model.tokenizer, padId);
    const inputs: Record<string, TensorValue> = {};
    if (tokenTable) {
      const { width, rows } = tokenTable;
      const count = embeddings.reduce((sum, { embedding }) => sum + embedding.count, 0);
      const added = new Float32Array(Math.max(1, count) * width);
      let row = 0;
      for (const { offset, embedding } of embeddings) {
        added.set(embedding.vectors[index] ?? [], row * width);
        for (let i = 0; i < embedding.count; i++) ids[offset + i] = rows + row++;
      }
      inputs['added_embeddings'] = { type: 'float32', data: added, dims: [added.length / width, width] };
    }
    const dims = [1, ids.length];
    inputs[input] =
      session.inputType(input) === 'int64'
        ? { type: 'int64', data: BigInt64Array.from(ids, BigInt), dims }
        : { type: 'int32', data: ids, dims };
    const outputs = await session.run(inputs);
    const hidden = outputs[layer]?.data;
    if (!hidden) throw new AppError('integrity_failed', `The text encoder has no output “${layer}”.`);
    const pooled = outputs['text_embeds']?.data;
    const ignoresClipSkip = !takesEarlier && clipSkip > 1 && layer === 'last_hidden_state';
    return { hidden, ...(pooled && { pooled }), ...(ignoresClipSkip && { ignoresClipSkip }) };
  };
}
