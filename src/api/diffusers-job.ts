import { isRecord } from '#codecs/json.ts';
import { enhancePrompt } from '#codecs/prompt/enhance.ts';
import type {
  ControlSpec,
  GenerateJob,
  ImageSpec,
  Init,
  Pass,
  PostStep,
  SafetyStep,
  Size,
} from '#protocol/job.ts';
import { usableAddOns, type AddOnInfo, type ModelInfo } from '#protocol/model.ts';
import { expansionOf } from '#protocol/prompt-expansion.ts';
import { chooseAddOns, type AddOnFields } from './diffusers-add-ons.ts';
import { diffusersSampler, type DiffusersSchedulerName } from './diffusers-scheduler.ts';
import { countingSeeds, multipleOf8, PLAIN_PROMPT, randomSeed, TORCH_NOISE } from './job.ts';

/** What ModelsLab and its resellers let clients say of a generation, as their dialects have read it. */
interface DiffusersRequest {
  model: ModelInfo;
  prompt: string;
  negativePrompt: string;
  /** Adds words to the prompt: an installed text generator's, or else words of quality. */
  enhancePrompt: boolean;
  /** Pixels, multiples of 8. */
  width: number;
  height: number;
  samples: number;
  /** The first image's; null leaves it to chance. */
  seed: bigint | null;
  steps: number;
  guidanceScale: number;
  scheduler: DiffusersSchedulerName;
  useKarrasSigmas: boolean;
  /** See {@link diffusersSampler}. */
  algorithmType: string | null;
  clipSkip: number;
  /** Merges tokens, where the model's graphs are written here. */
  tomesd: boolean;
  extras: DiffusersExtras;
  addOns: AddOnFields;
  start: DiffusersStart;
  controls?: readonly ControlSpec[];
  /** What hides images that are not safe for work. */
  safety: SafetyStep | null;
}

/** Switches that only some endpoints have. */
export interface DiffusersExtras {
  /** Doubles the sides of the finished images. */
  upscale?: boolean;
  /** MultiDiffusion: windows of the trained size that overlap. */
  panorama?: boolean;
  selfAttention?: boolean;
  /** A first pass at the size the model was trained at, a second one at the requested size. */
  highresFix?: boolean;
}

/** Where a request starts. */
export interface DiffusersStart {
  init: Init;
  /** 0 … 1; 1 from noise. */
  strength: number;
}

/** Text-to-image. */
export const FROM_NOISE: DiffusersStart = { init: { from: 'noise' }, strength: 1 };

/** tomesd's own default, `ratio` of `apply_patch`. */
const TOMESD_RATIO = 0.5;

/** `sag_scale` of diffusers' StableDiffusionSAGPipeline. */
const SAG_SCALE = 0.75;

/** Of the second pass of `highres_fix`: what is upscaled gets details, and keeps its composition. */
const HIGHRES_STRENGTH = 0.55;

/**
 * Where image-to-image and inpainting start: init image and mask are stretched to the requested size, as these services
 * document; unmasked areas stay unchanged.
 * @param mask white is generated again; null for image-to-image
 */
export function startFrom(image: Blob, mask: Blob | null, strength: number): DiffusersStart {
  const shared = { rules: 'diffusers', images: [image], fit: 'stretch' } as const;
  if (!mask) return { init: { ...shared, from: 'image' }, strength };
  return {
    init: {
      ...shared,
      from: 'masked',
      mask: { kind: 'image', mask, invert: false },
      fill: 'original',
      blur: { x: 0, y: 0 },
      round: true,
      area: 'whole',
      overlay: true,
    },
    strength,
  };
}

/** The job of such a request. @throws AppError as {@link chooseAddOns} */
export function planDiffusersJob(request: DiffusersRequest, addOns: readonly AddOnInfo[]): GenerateJob {
  const chosen = chooseAddOns(request.addOns, addOns);
  const { upscale = false } = request.extras;
  const seed = request.seed ?? randomSeed();
  return {
    task: 'generate',
    images: countingSeeds(request.samples, {
      ...promptOf(request, seed, addOns),
      negativePrompt: [request.negativePrompt],
      seed,
    }),
    batchSize: request.samples,
    init: request.start.init,
    passes: planPasses(request, chosen.pass),
    noise: TORCH_NOISE,
    promptOptions: { ...PLAIN_PROMPT, clipSkip: request.clipSkip, ...chosen.prompt },
    ...chosen.job,
    ...(request.controls && { controls: request.controls }),
    post: [...(upscale ? [doubling(addOns)] : []), ...(request.safety ? [request.safety] : [])],
    output: { format: 'png', quality: 1, metadata: null },
    keepUnfinished: false,
  };
}

/** The prompt, with more words where they are wanted: the same for all images. */
function promptOf(
  { prompt, enhancePrompt: isEnhanced }: DiffusersRequest,
  seed: bigint,
  addOns: readonly AddOnInfo[],
): Pick<ImageSpec, 'prompt' | 'expansion'> {
  if (!isEnhanced) return { prompt: [prompt] };
  const [generator] = usableAddOns(addOns, 'prompt-expansion');
  if (!generator) return { prompt: [enhancePrompt(prompt)] };
  return { prompt: [prompt], expansion: expansionOf(generator.pack.id, prompt, seed, 'instead') };
}

function planPasses(request: DiffusersRequest, chosen: Pick<Pass, 'vae'>): GenerateJob['passes'] {
  const { model, width, height, extras, start } = request;
  const pass: Pass = {
    model: model.pack.id,
    ...chosen,
    size: { width, height },
    steps: request.steps,
    strength: start.strength,
    sampler: diffusersSampler(request.scheduler, {
      useKarrasSigmas: request.useKarrasSigmas,
      algorithmType: request.algorithmType,
    }),
    guidanceScale: request.guidanceScale,
    // Only graphs that the engine writes itself can merge tokens.
    ...(request.tomesd && model.pack.weights === 'safetensors' && { graph: { tokenMerging: TOMESD_RATIO } }),
    ...(extras.selfAttention && { selfAttentionGuidance: { scale: SAG_SCALE } }),
    ...(extras.panorama && { panorama: { circular: false } }),
  };
  if (!extras.highresFix) return [pass];
  return [
    { ...pass, size: firstPassSize(model, pass.size) },
    { ...pass, strength: HIGHRES_STRENGTH },
  ];
}

/** The requested size, with no more pixels than the model was trained at. */
function firstPassSize({ pack }: ModelInfo, size: Size): Size {
  const trained = Math.max(...pack.trainedSizes.map(([width, height]) => width * height));
  const scale = Math.min(1, Math.sqrt(trained / (size.width * size.height)));
  return { width: multipleOf8(size.width * scale), height: multipleOf8(size.height * scale) };
}

/** The services double sides by an upscaling network; without one installed the image is resized. */
function doubling(addOns: readonly AddOnInfo[]): PostStep {
  const [network] = usableAddOns(addOns, 'upscaler');
  return { kind: 'upscale', upscaler: network?.pack.id ?? 'Lanczos', size: { factor: 2 } };
}

/** Pixels of a job's finished images. */
export function finishedSize({ passes, post }: GenerateJob): Size {
  const { width, height } = (passes.at(-1) ?? passes[0]).size;
  const factor = post.reduce(
    (product, step) => product * (step.kind === 'upscale' && 'factor' in step.size ? step.size.factor : 1),
    1,
  );
  return { width: width * factor, height: height * factor };
}

/**
 * Whether to report `tomesd` as a parameter without effect: it was sent, not only on by default, and the model's exported
 * graphs cannot merge tokens.
 */
export function lacksTomesd({ passes: [{ graph }] }: GenerateJob, isOn: boolean, received: unknown): boolean {
  return isOn && graph === undefined && isRecord(received) && Object.hasOwn(received, 'tomesd');
}

/** The class that runs for a job of {@link planDiffusersJob}. */
export function schedulerOf({ passes: [{ sampler }] }: GenerateJob): string {
  return sampler.family === 'diffusers' ? sampler.scheduler : '';
}
