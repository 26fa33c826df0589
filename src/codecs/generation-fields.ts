import { FACE_RESTORATION, type Infotext } from './infotext.ts';

/** What becomes of the masked part before noise is added, by its number in the API and in the order of A1111's menu. */
export const MASKED_CONTENTS = ['fill', 'original', 'latent noise', 'latent nothing'] as const;

export type MaskedContent = (typeof MASKED_CONTENTS)[number];

/** An infotext's pairs as values. What the text omits is omitted here, except for masks, whose defaults it omits. */
export interface GenerationFields {
  prompt: string;
  negativePrompt: string;
  steps?: number;
  /** As the text names them: A1111's labels. */
  sampler?: string;
  schedule?: string;
  cfgScale?: number;
  seed?: bigint;
  /** Of the first pass, in pixels. */
  width?: number;
  height?: number;
  model?: string;
  modelHash?: string;
  vae?: string;
  clipSkip?: number;
  variation?: { seed: bigint; strength: number };
  /** Of img2img, or of the hires pass. */
  denoisingStrength?: number;
  /** Inpainting; absent where no pair says so. */
  mask?: {
    /** In pixels. */
    blur: number;
    content: MaskedContent;
    area: 'whole image' | 'only masked';
    /** In pixels. */
    padding: number;
    /** The part that is not masked is generated. */
    inverted: boolean;
  };
  /** The second, larger pass; absent where no pair says so. */
  hires?: {
    /** A factor, or sides in pixels one of which may be 0: derived from the other. */
    size: { factor: number } | { width: number; height: number };
    upscaler?: string;
    steps?: number;
    sampler?: string;
    schedule?: string;
    model?: string;
    prompt?: string;
    negativePrompt?: string;
  };
  /** The model that takes over, and after which share of the steps. */
  refiner?: { model: string; switchAt: number };
  /** What restored the faces. */
  faceRestoration?: string;
}

/**
 * Reads an infotext's pairs as A1111 v1.10.1 writes them (modules/processing.py, modules/processing_scripts/refiner.py), and
 * the older `First pass size` (modules/infotext_utils.py, `restore_old_hires_fix_params`). Values that are not what their key
 * asks for are left out.
 */
export function readGenerationFields({ prompt, negativePrompt, parameters }: Infotext): GenerationFields {
  const pairs = new Map(parameters);
  const text = (key: string) => pairs.get(key);
  const number = (key: string) => readNumber(pairs.get(key));
  const seed = (key: string) =>
    /^\d+$/.test(pairs.get(key) ?? '') ? BigInt(pairs.get(key) ?? 0) : undefined;
  const variationSeed = seed('Variation seed');
  const refiner = text('Refiner');
  const firstPass = readFirstPass(pairs);
  return {
    prompt,
    negativePrompt,
    ...defined({
      steps: number('Steps'),
      sampler: text('Sampler'),
      schedule: text('Schedule type'),
      cfgScale: number('CFG scale'),
      seed: seed('Seed'),
      width: firstPass?.width ?? number('Size-1'),
      height: firstPass?.height ?? number('Size-2'),
      model: text('Model'),
      modelHash: text('Model hash'),
      vae: text('VAE'),
      clipSkip: number('Clip skip'),
      variation:
        variationSeed === undefined
          ? undefined
          : { seed: variationSeed, strength: number('Variation seed strength') ?? 0 },
      denoisingStrength: number('Denoising strength'),
      mask: readMask(pairs),
      hires: readHires(pairs),
      refiner:
        refiner === undefined ? undefined : { model: refiner, switchAt: number('Refiner switch at') ?? 0.8 },
      faceRestoration: text(FACE_RESTORATION),
    }),
  };
}

type Pairs = ReadonlyMap<string, string>;

/** The members that are not undefined. */
function defined<T extends object>(members: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>;
  };
}

function readNumber(text: string | undefined): number | undefined {
  if (text === undefined || text.trim() === '') return undefined;
  const value = Number(text);
  return Number.isFinite(value) ? value : undefined;
}

const MASK_KEYS = ['Mask blur', 'Mask mode', 'Masked content', 'Inpaint area', 'Masked area padding'];

/** The blur's default is written as any other, so that no blur at all is what a text without it has. */
function readMask(pairs: Pairs): GenerationFields['mask'] {
  if (!MASK_KEYS.some((key) => pairs.has(key))) return undefined;
  return {
    blur: readNumber(pairs.get('Mask blur')) ?? 0,
    content: MASKED_CONTENTS.find((content) => content === pairs.get('Masked content')) ?? 'original',
    area: pairs.get('Inpaint area') === 'Only masked' ? 'only masked' : 'whole image',
    padding: readNumber(pairs.get('Masked area padding')) ?? 32,
    inverted: pairs.get('Mask mode') === 'Inpaint not masked',
  };
}

function readHires(pairs: Pairs): GenerationFields['hires'] {
  const size = readHiresSize(pairs);
  if (!size && !pairs.has('Hires upscaler')) return undefined;
  return {
    size: size ?? { factor: 2 },
    ...defined({
      upscaler: pairs.get('Hires upscaler'),
      steps: readNumber(pairs.get('Hires steps')),
      sampler: pairs.get('Hires sampler'),
      schedule: pairs.get('Hires schedule type'),
      model: pairs.get('Hires checkpoint'),
      prompt: pairs.get('Hires prompt'),
      negativePrompt: pairs.get('Hires negative prompt'),
    }),
  };
}

function readHiresSize(pairs: Pairs): { factor: number } | { width: number; height: number } | undefined {
  const width = readNumber(pairs.get('Hires resize-1'));
  const height = readNumber(pairs.get('Hires resize-2'));
  if (width !== undefined && height !== undefined && width + height > 0) return { width, height };
  const factor = readNumber(pairs.get('Hires upscale'));
  if (factor !== undefined) return { factor };
  const [finalWidth, finalHeight] = [readNumber(pairs.get('Size-1')), readNumber(pairs.get('Size-2'))];
  return readFirstPass(pairs) && finalWidth !== undefined && finalHeight !== undefined
    ? { width: finalWidth, height: finalHeight }
    : undefined;
}

/** Versions of 2022 wrote the final size as `Size`; a first pass of 0x0 has about 512² pixels in sides of 64. */
function readFirstPass(pairs: Pairs): { width: number; height: number } | undefined {
  const width = readNumber(pairs.get('First pass size-1'));
  const height = readNumber(pairs.get('First pass size-2'));
  if (width === undefined || height === undefined) return undefined;
  if (width > 0 && height > 0) return { width, height };
  const final = {
    width: readNumber(pairs.get('Size-1')) ?? 512,
    height: readNumber(pairs.get('Size-2')) ?? 512,
  };
  const scale = Math.sqrt((512 * 512) / (final.width * final.height));
  const side = (length: number) => Math.ceil((scale * length) / 64) * 64;
  return { width: side(final.width), height: side(final.height) };
}
