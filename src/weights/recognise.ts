import { AppError } from '#protocol/error.ts';
import { familyByEncoderWidth, familyByTextWidth } from '#protocol/families.ts';
import type { ModelFamily } from '#protocol/model.ts';
import { type Component, openCheckpoint } from './checkpoint.ts';
import { parseLora } from './lora.ts';
import { parseBundledName, parseLoraName } from './lora-names.ts';
import { chooseStorage, quantiseTensors } from './quantise.ts';
import { byteLength, elementCount, type TensorSource, type TensorType } from './tensor-source.ts';
import { findTextualInversion } from './textual-inversion.ts';
import { trainingOf, trainingProblem } from './training-marks.ts';

/** What a file of weights is. A checkpoint is a whole model; single networks are used with one. */
export type WeightKind =
  | 'checkpoint'
  | 'unet'
  | 'vae'
  | 'taesd'
  | 'text-encoder'
  | 'controlnet'
  | 'upscaler'
  | 'lora'
  | 'embedding'
  | 'clip-vision'
  | 'safety-checker'
  | 'ip-adapter'
  | 't2i-adapter'
  | 'unknown';

/** The model family a file is for; `other` is one this engine does not have (SD 3, Flux …). */
export type WeightFamily = ModelFamily | 'other';

/** What a file's header alone says about it. */
export interface RecognisedWeights {
  kind: WeightKind;
  /** Null where any family may use it, or where it cannot be determined. */
  family: WeightFamily | null;
  /** The networks in it, for those kinds that are networks. */
  components: readonly Component[];
  /** What the UNet takes besides noise: `inpaint` a mask and a masked image, `edit` an image. */
  variant: 'text-to-image' | 'inpaint' | 'edit' | null;
  /** What the network predicts, if the file says so; most do not. */
  prediction: 'epsilon' | 'v_prediction' | null;
  /** Whether it says that its noise schedule ends in noise alone (zero terminal SNR). */
  zeroTerminalSnr: boolean;
  /** Of LoRAs. */
  adapter: 'lora' | 'locon' | 'loha' | 'lokr' | 'dora' | 'other' | null;
  /** The type of most of its numbers. */
  type: TensorType | null;
  tensors: number;
  parameters: number;
  /** Bytes of its networks unchanged, and quantised with linear layers of 8 and 4 bits. */
  bytes: { exact: number; int8: number; int4: number };
  /** Of LoRAs: tensors nothing is done with. */
  unknown: readonly string[];
  /** Why it cannot be used, a sentence for people; null if it can. */
  problem: string | null;
}

/** Tensors that give away what a single-file model of another family is. */
const OTHER_FAMILIES: readonly (readonly [mark: RegExp, name: string])[] = [
  [/(?:^|[._])joint_blocks[._]\d/, 'Stable Diffusion 3'],
  [/(?:^|[._])(?:double_blocks|single_transformer_blocks)[._]\d/, 'Flux'],
  [/(?:^|\.)down_blocks\.\d+\.motion_modules\./, 'AnimateDiff'],
  [/^(?:model\.diffusion_model\.)?down_blocks\.\d+\.\d+\.(?:channelwise|mapper)/, 'Stable Cascade'],
];

/** Tensors that accompany weights quantised by other programs (ComfyUI's scaled float8, bitsandbytes' nf4). */
const FOREIGN_SCALES = /\.(?:scale_weight|weight_scale|absmax|quant_map)$|^scaled_fp8$/;

/** Networks in files of their own. */
const KINDS: Readonly<Record<Component, WeightKind>> = {
  unet: 'unet',
  vae: 'vae',
  text_encoder: 'text-encoder',
  text_encoder_2: 'text-encoder',
  controlnet: 'controlnet',
  taesd: 'taesd',
  upscaler: 'upscaler',
  image_encoder: 'clip-vision',
  ip_adapter: 'ip-adapter',
};

/** Width of the text features that the refiner of SDXL reads, which is not a complete model on its own. */
const REFINER_WIDTH = 1280;

/** By the width of the text features that the UNet's cross-attention reads. */
function familyByContext(width: number | undefined): WeightFamily | undefined {
  if (width === undefined) return undefined;
  return width === REFINER_WIDTH ? 'sdxl-refiner' : familyByTextWidth(width);
}

/**
 * Recognises a file by the names, types and shapes in its header. Nothing else is read, so that a file can be judged
 * before it is downloaded.
 *
 * @param file Its metadata, where it has some, is believed about what the network predicts.
 */
export function recogniseWeights(
  file: TensorSource & { metadata?: Readonly<Record<string, string>> },
): RecognisedWeights {
  const names = [...file.names()];
  const { components, leftOver } = openCheckpoint(file);
  const { type, parameters } = countNumbers(file, names);
  const whole = networkBytes(file, components);
  const facts = {
    components: [...components.keys()],
    variant: null,
    prediction: null,
    zeroTerminalSnr: false,
    adapter: null,
    type,
    tensors: names.length,
    parameters,
    bytes: whole,
    unknown: [],
    problem: null,
  } as const;

  const other = OTHER_FAMILIES.find(([mark]) => names.some((name) => mark.test(name)));
  if (other) {
    const problem = `This is for ${other[1]}, which this engine does not run.`;
    return { ...facts, kind: isLora(names) ? 'lora' : 'unknown', family: 'other', components: [], problem };
  }
  const unet = components.get('unet');
  if (names.some((name) => FOREIGN_SCALES.test(name))) {
    const problem = 'Another program quantised its weights in a way this engine does not read.';
    return { ...facts, kind: unet ? 'unet' : 'unknown', family: unet ? familyOf(unet) : null, problem };
  }
  if (unet && components.size > 1) {
    const lacking = (['vae', 'text_encoder', 'text_encoder_2'] as const).filter(
      (component) => needs(familyOf(unet), component) && !components.has(component),
    );
    return {
      ...facts,
      kind: 'checkpoint',
      family: familyOf(unet),
      variant: variantOf(unet),
      ...trainingOf(file),
      problem:
        lacking.length > 0
          ? `It is incomplete: it has no ${lacking.join(' and no ')}.`
          : trainingProblem(file, names),
    };
  }
  const [component] = components.keys();
  const network = component && components.get(component);
  if (component && network) {
    return {
      ...facts,
      kind: isSafetyChecker(component, names) ? 'safety-checker' : KINDS[component],
      family: familyOfNetwork(component, network),
      ...(component === 'unet' && {
        variant: variantOf(network),
        ...trainingOf(file),
        problem: trainingProblem(file, names),
      }),
      ...(component === 'upscaler' && { problem: upscalerProblem(leftOver) }),
      ...(component === 'ip_adapter' && { problem: ipAdapterProblem(names) }),
    };
  }
  if (isLora(names)) return { ...facts, kind: 'lora', ...recogniseLora(file, names) };
  const embedding = findTextualInversion(file);
  if (embedding) {
    const width = embedding.get('text_encoder')?.shape.at(-1);
    const family = embedding.has('text_encoder_2') ? 'sdxl' : familyByTextWidth(width ?? 0);
    return { ...facts, kind: 'embedding', family: family ?? null };
  }
  if (names.some((name) => /^(?:ip_adapter|image_proj)\./.test(name))) {
    const problem = ipAdapterProblem(names) ?? 'It is only a part of an IP-Adapter, and of no use alone.';
    return { ...facts, kind: 'ip-adapter', family: null, problem };
  }
  if (names.some((name) => /^(?:adapter\.)?body\.\d+\.(?:resnets|block\d)\./.test(name))) {
    return { ...facts, kind: 't2i-adapter', family: null };
  }
  return { ...facts, kind: 'unknown', family: null, problem: 'It is not known what this file is for.' };
}

function countNumbers(
  file: TensorSource,
  names: readonly string[],
): { type: TensorType | null; parameters: number } {
  const counts = new Map<TensorType, number>();
  let parameters = 0;
  for (const name of names) {
    const info = file.info(name);
    if (!info) continue;
    const count = elementCount(info.shape);
    parameters += count;
    counts.set(info.type, (counts.get(info.type) ?? 0) + count);
  }
  const [most] = [...counts].sort(([, a], [, b]) => b - a);
  return { type: most?.[0] ?? null, parameters };
}

/** Of the networks in the file, or of the whole file if it has none. */
function networkBytes(
  file: TensorSource,
  components: ReadonlyMap<Component, TensorSource>,
): RecognisedWeights['bytes'] {
  if (components.size === 0) {
    const exact = totalBytes(file);
    return { exact, int8: exact, int4: exact };
  }
  const bytes = { exact: 0, int8: 0, int4: 0 };
  for (const [component, network] of components) {
    bytes.exact += totalBytes(network);
    bytes.int8 += totalBytes(quantiseTensors(network, chooseStorage(component, 8)));
    bytes.int4 += totalBytes(quantiseTensors(network, chooseStorage(component, 4)));
  }
  return bytes;
}

function totalBytes(source: TensorSource): number {
  let bytes = 0;
  for (const name of source.names()) {
    const info = source.info(name);
    if (info) bytes += byteLength(info);
  }
  return bytes;
}

/** The family of a UNet or ControlNet, by the width of the text features it reads. */
function familyOf(network: TensorSource): WeightFamily {
  for (const name of network.names()) {
    if (!name.endsWith('.attn2.to_k.weight')) continue;
    return familyByContext(network.info(name)?.shape[1]) ?? 'other';
  }
  return 'other';
}

function familyOfNetwork(component: Component, network: TensorSource): WeightFamily | null {
  if (component === 'unet' || component === 'controlnet') return familyOf(network);
  if (component === 'ip_adapter')
    return familyByContext(network.info('ip_adapter.1.to_k_ip.weight')?.shape[1]) ?? 'other';
  return encoderFamily(network);
}

/** The family of a text encoder or VAE: by the width of its embeddings, or by names; null for what any family takes. */
function encoderFamily(network: TensorSource): WeightFamily | null {
  if (network.info('tok.weight') || network.info('latents.mean')) return 'emoji-mini';
  const width = network.info('text_model.embeddings.token_embedding.weight')?.shape[1];
  return width === undefined ? null : (familyByEncoderWidth(width) ?? null);
}

function needs(family: WeightFamily, component: 'vae' | 'text_encoder' | 'text_encoder_2'): boolean {
  if (component === 'vae') return true;
  if (component === 'text_encoder') return family !== 'sdxl-refiner';
  return family === 'sdxl' || family === 'sdxl-refiner';
}

function variantOf(unet: TensorSource): RecognisedWeights['variant'] {
  switch (unet.info('conv_in.weight')?.shape[1]) {
    case 4:
      return 'text-to-image';
    case 9:
      return 'inpaint';
    case 8:
      return 'edit';
    default:
      return null;
  }
}

/** An upscaler with more in it than its network has is another one (ESRGAN+ adds 1×1 convolutions). */
function upscalerProblem(leftOver: readonly string[]): string | null {
  const [first] = leftOver.filter((name) => !/^params\./.test(name));
  return first === undefined
    ? null
    : `It is no plain ESRGAN: the network here has no place for its “${first}”.`;
}

/**
 * IP-Adapters that look at faces by another network than CLIP bring LoRAs, a resampler with an input for it, or a perceptron
 * whose norm is not its last part. Source: tencent-ailab/IP-Adapter, ip_adapter/ip_adapter_faceid.py.
 */
function ipAdapterProblem(names: readonly string[]): string | null {
  const has = (name: string) => names.includes(`image_proj.${name}.weight`);
  const isForFaces = names.some(
    (name) => /^ip_adapter\.\d+\.to_\w+_lora\./.test(name) || /^image_proj\.perceiver_resampler\./.test(name),
  );
  return isForFaces || (has('proj.0') && !has('proj.3'))
    ? 'It is an IP-Adapter FaceID, which needs a face recognition network that this engine does not run. Use a plus-face IP-Adapter instead.'
    : null;
}

/** CompVis' safety checker: an image encoder, and what images are compared with. */
function isSafetyChecker(component: Component, names: readonly string[]): boolean {
  return component === 'image_encoder' && names.includes('special_care_embeds');
}

function isLora(names: readonly string[]): boolean {
  return (
    names.some((name) => !name.endsWith('.alpha') && parseLoraName(name) !== undefined) ||
    names.some((name) => /\.lora_(?:A|B|down|up)\b/.test(name) || parseBundledName(name) !== undefined)
  );
}

function recogniseLora(
  file: TensorSource,
  names: readonly string[],
): Pick<RecognisedWeights, 'family' | 'adapter' | 'unknown' | 'problem'> {
  let adapter: RecognisedWeights['adapter'] = 'lora';
  let family: WeightFamily | null = null;
  for (const name of names) {
    const parsed = parseLoraName(name);
    const shape = file.info(name)?.shape ?? [];
    // The words bundled with SDXL's LoRAs are for two text encoders.
    if (/^bundle_emb\.[^.]+\.clip_g$/.test(name)) family = 'sdxl';
    if (!parsed) continue;
    const { part, component, module } = parsed;
    if (part === 'magnitude') adapter = 'dora';
    else if (part === 'other') adapter = 'other';
    else if (part.startsWith('hada_')) adapter = 'loha';
    else if (part.startsWith('lokr_')) adapter = 'lokr';
    else if (adapter === 'lora' && part === 'down' && elementCount(shape.slice(2)) > 1) adapter = 'locon';
    if (component === 'text_encoder_2') family = 'sdxl';
    // The input of a text key is as wide as the text features, under any names.
    if (family === null && /attn2_to_[kv]$/.test(module) && (part === 'down' || part === 'hada_w1_b')) {
      family = familyByContext(shape[1]) ?? null;
    }
  }
  if (adapter === 'dora' || adapter === 'other') {
    const problem = 'Adapters of this kind change weights in a way this engine does not.';
    return { family, adapter, unknown: [], problem };
  }
  // Only what can be used later is recognised here.
  try {
    return { family, adapter, unknown: parseLora(file, 'It').unknown, problem: null };
  } catch (thrown) {
    if (thrown instanceof AppError) return { family, adapter, unknown: [], problem: thrown.message };
    throw thrown;
  }
}
