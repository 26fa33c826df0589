/** A1111's text of how an image was made: prompt, negative prompt, then one line of `Key: value` pairs. */
export interface Infotext {
  prompt: string;
  negativePrompt: string;
  /** In the order of the line. */
  parameters: readonly InfotextPair[];
}

export type InfotextPair = readonly [key: string, value: string];

const NEGATIVE = 'Negative prompt:';

/** A key, then a quoted string or anything up to the next comma (A1111, modules/infotext_utils.py). */
const PAIR = /\s*([\p{L}\p{N}_][\p{L}\p{N}_ \-/]+):\s*("(?:\\.|[^\\"])+"|[^,]*)(?:,|$)/gu;

/** Fewer pairs than this on the last line, and it is the prompt's. */
const FEWEST_PAIRS = 3;

function quote(value: string): string {
  return /[,\n:]/.test(value) ? JSON.stringify(value) : value;
}

function unquote(value: string): string {
  if (!value.startsWith('"') || !value.endsWith('"')) return value;
  try {
    const text: unknown = JSON.parse(value);
    return typeof text === 'string' ? text : value;
  } catch {
    return value;
  }
}

/** Pairs in one line. A pair whose value is its key is written as the key alone. */
export function writePairs(pairs: readonly InfotextPair[]): string {
  return pairs.map(([key, value]) => (key === value ? key : `${key}: ${quote(value)}`)).join(', ');
}

/** The text of an {@link Infotext}. */
export function writeInfotext({ prompt, negativePrompt, parameters }: Infotext): string {
  const negative = negativePrompt === '' ? '' : `\n${NEGATIVE} ${negativePrompt}`;
  return `${prompt}${negative}\n${writePairs(parameters)}`.trim();
}

/** Reads an infotext. Sizes such as `512x768` come as two pairs, `Size-1` and `Size-2`. */
export function parseInfotext(text: string): Infotext {
  const lines = text.trim().split('\n');
  const last = lines.at(-1) ?? '';
  const pairs = [...last.matchAll(PAIR)];
  if (pairs.length >= FEWEST_PAIRS) lines.pop();
  const trimmed = lines.map((line) => line.trim());
  const negativeAt = trimmed.findIndex((line) => line.startsWith(NEGATIVE));
  const prompt = negativeAt < 0 ? trimmed : trimmed.slice(0, negativeAt);
  const negative = negativeAt < 0 ? [] : trimmed.slice(negativeAt);
  return {
    prompt: joinLines(prompt),
    // Only at the start of a line is it a mark, and there on every line.
    negativePrompt: joinLines(
      negative.map((line) => (line.startsWith(NEGATIVE) ? line.slice(NEGATIVE.length).trim() : line)),
    ),
    parameters:
      pairs.length < FEWEST_PAIRS ? [] : pairs.flatMap(([, key = '', value = '']) => readPair(key, value)),
  };
}

/** Empty lines at the start vanish, as there. */
function joinLines(lines: readonly string[]): string {
  return lines.reduce((text, line) => (text === '' ? line : `${text}\n${line}`), '');
}

function readPair(key: string, value: string): InfotextPair[] {
  if (value === '') return [];
  const plain = unquote(value);
  const [, first, second] = /^(\d+)x(\d+)$/.exec(plain) ?? [];
  return first === undefined || second === undefined
    ? [[key, plain]]
    : [
        [`${key}-1`, first],
        [`${key}-2`, second],
      ];
}

/** A number as Python prints a float: `7.0`, `1e-05`. */
export function pythonFloat(value: number): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? 'nan' : value > 0 ? 'inf' : '-inf';
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-4 || size >= 1e16)) {
    const [mantissa = '', exponent = ''] = value.toExponential().split('e');
    const digits = exponent.slice(1).padStart(2, '0');
    return `${mantissa}e${exponent.charAt(0)}${digits}`;
  }
  return Number.isInteger(value) ? `${value}.0` : String(value);
}

/** The pair that names what restored the faces. */
export const FACE_RESTORATION = 'Face restoration';

/** What every infotext states about an image. Null leaves a pair out. */
export interface GenerationFacts {
  steps: number;
  sampler: string;
  schedule: string | null;
  cfgScale: number;
  seed: bigint;
  width: number;
  height: number;
  modelHash: string | null;
  model: string | null;
  vaeHash?: string | null;
  vae?: string | null;
  /** What restored the faces. */
  faceRestoration?: string | null;
  subseed: bigint;
  subseedStrength: number;
  seedResizeFrom: { width: number; height: number } | null;
  denoisingStrength: number | null;
  clipSkip: number;
  etaNoiseSeedDelta: number;
  /** `GPU` is not written. */
  randomSource: 'GPU' | 'CPU' | 'NV';
  tiling: boolean;
  /** Written before `Version`, in this order. */
  extra: readonly InfotextPair[];
  version: string | null;
}

/** The pairs of an image in A1111's order, its conditions for leaving one out included. */
export function generationPairs(facts: GenerationFacts): InfotextPair[] {
  const varied = facts.subseedStrength !== 0;
  const from = facts.seedResizeFrom;
  const pairs: readonly (readonly [string, string | null])[] = [
    ['Steps', String(facts.steps)],
    ['Sampler', facts.sampler],
    ['Schedule type', facts.schedule],
    ['CFG scale', pythonFloat(facts.cfgScale)],
    ['Seed', String(facts.seed)],
    [FACE_RESTORATION, facts.faceRestoration ?? null],
    ['Size', `${facts.width}x${facts.height}`],
    ['Model hash', facts.modelHash],
    ['Model', facts.model],
    ['VAE hash', facts.vaeHash ?? null],
    ['VAE', facts.vae ?? null],
    ['Variation seed', varied ? String(facts.subseed) : null],
    ['Variation seed strength', varied ? pythonFloat(facts.subseedStrength) : null],
    ['Seed resize from', from && `${from.width}x${from.height}`],
    ['Denoising strength', facts.denoisingStrength === null ? null : pythonFloat(facts.denoisingStrength)],
    ['Clip skip', facts.clipSkip > 1 ? String(facts.clipSkip) : null],
    ['ENSD', facts.etaNoiseSeedDelta === 0 ? null : String(facts.etaNoiseSeedDelta)],
    ['RNG', facts.randomSource === 'GPU' ? null : facts.randomSource],
    ['Tiling', facts.tiling ? 'True' : null],
    ...facts.extra,
    ['Version', facts.version],
  ];
  return pairs.filter((pair): pair is InfotextPair => pair[1] !== null);
}

/** How an image was upscaled. */
export interface UpscaleFacts {
  /** Names; `None` is none. */
  upscaler: string;
  second?: { upscaler: string; visibility: number };
  size: { factor: number } | { width: number; height: number; crop: boolean };
}

/** What A1111's extras write under `postprocessing` (scripts/postprocessing_upscale.py); nothing where nothing was upscaled. */
export function upscalePairs({ upscaler, second, size }: UpscaleFacts): InfotextPair[] {
  if (upscaler === 'None') return [];
  const pairs: InfotextPair[] = [];
  if ('factor' in size) {
    pairs.push(['Postprocess upscale by', String(size.factor)]);
  } else {
    const text = `${size.width}x${size.height}`;
    pairs.push(['Postprocess upscale to', text]);
    if (size.crop) pairs.push(['Postprocess crop to', text]);
  }
  pairs.push(['Postprocess upscaler', upscaler]);
  if (second && second.upscaler !== 'None' && second.visibility > 0)
    pairs.push(['Postprocess upscaler 2', second.upscaler]);
  return pairs;
}
