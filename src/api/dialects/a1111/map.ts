import type { Restorer } from '#api/face-restoration.ts';
import { multipleOf8, randomSeed } from '#api/job.ts';
import { findAddOn, requireOwnGraphs } from '#api/models.ts';
import { pythonFloat, type InfotextPair } from '#codecs/infotext.ts';
import type {
  GenerateJob,
  ImageSpec,
  Init,
  LoraSpec,
  NoiseSpec,
  OutputSpec,
  Pass,
  PromptOptions,
  Size,
} from '#protocol/job.ts';
import type { AddOnInfo, ModelInfo } from '#protocol/model.ts';
import { planDetails } from './adetailer.ts';
import type { Detailer } from './adetailer-unit.ts';
import { chosenCheckpoint, type Installed } from './checkpoints.ts';
import type { ControlUnit } from './controlnet-unit.ts';
import { httpException, pythonException } from './errors.ts';
import { planFaceRestoration } from './face-restoration.ts';
import type { GenerationBody } from './generation-rows.ts';
import { graphOptions } from './graph-options.ts';
import { findLora } from './loras.ts';
import type { Options } from './options.ts';
import { EXTRA_NETWORK, readPrompts, type PromptReading } from './prompt.ts';
import { withRefiner } from './refiner.ts';
import { resolveSampler, type ResolvedSampler } from './samplers.ts';
import { samplerChoice, samplingPairs } from './sampling.ts';

/** Sides and pixels beyond this are a slip of the keyboard. */
const MOST_PIXELS = 4096 * 4096;
/** Images of one request. */
const MOST_IMAGES = 1000;
/** The original draws random seeds below this. */
const RANDOM_SEEDS = 4294967294n;

/** A request to either route, and what it is answered from. */
export interface PlanRequest {
  body: GenerationBody;
  /** The options in force, the request's overrides included. */
  options: Options;
  installed: Installed;
  units: readonly ControlUnit[];
  detailer: Detailer | null;
}

/** What a route starts its run from. */
export interface Start {
  init: Init;
  /** Of the first pass, in pixels, as requested. */
  size: Size;
  /** 1 for pure noise. */
  strength: number;
  exactSteps?: boolean;
  batchSize: number;
  /** 0 … 0.75. */
  merging: number;
  noise?: Pick<NoiseSpec, 'initialMultiplier' | 'extra'>;
  masks?: OutputSpec['masks'];
  /** What the infotext says of it, and what it says of the sampling besides the sampler's own settings. */
  pairs: InfotextPair[];
  noisePairs?: InfotextPair[];
}

/** What is known before a second pass is planned. */
export interface FirstPass {
  pass: Pass;
  model: ModelInfo;
  resolved: ResolvedSampler;
  images: readonly ImageSpec[];
  reading: PromptReading;
}

/** A second pass, and what the infotext says of it. */
export interface SecondPass {
  pass: Pass;
  pairs: InfotextPair[];
  /** Names that led nowhere and were replaced. */
  unknown: string[];
}

/** A request as understood: everything that the job and the answer need. */
export interface Plan {
  body: GenerationBody;
  options: Options;
  model: ModelInfo;
  /** The replacement VAE; null is the model's own. */
  vae: AddOnInfo | null;
  resolved: ResolvedSampler;
  /** Pixels of the first pass, as requested. */
  size: Size;
  /** Null where no pass starts from an image. */
  denoisingStrength: number | null;
  /** Extra pairs of the infotext. */
  extra: InfotextPair[];
  /** What restores the faces; null where nothing does. */
  restorer: Restorer | null;
  /** Names that led nowhere and were replaced. */
  unknown: string[];
  job: GenerateJob;
}

/**
 * The job that a request asks for.
 * @param planSecond plans the pass after the first, if there is one
 * @throws AppError `invalid_request` for sizes and counts that cannot be generated, `model_not_found` when there is no model at all
 */
export function planJob(
  { body, options, installed, units, detailer }: PlanRequest,
  start: Start,
  planSecond?: (first: FirstPass) => SecondPass,
): Plan {
  checkCounts(body, start.batchSize);
  checkSize(start.size);
  const { addOns, models } = installed;
  const resolved = resolveSampler(body.sampler_name || body.sampler_index, body.scheduler);
  const model = chosenCheckpoint(options, models);
  const vae = findAddOn(addOns, 'vae', options.sd_vae) ?? null;
  const loras = body.disable_extra_networks ? [] : extraLoras(body, options, addOns);
  checkUnits(units, model, addOns);
  const reading = { comments: options.enable_prompt_comments, withoutNetworks: body.disable_extra_networks };
  const images = planImages(body, start.batchSize, reading);
  const sampler = samplerChoice(body, options, resolved);
  const pass: Pass = {
    model: model.pack.id,
    ...(vae && { vae: vae.pack.id }),
    size: { width: multipleOf8(start.size.width), height: multipleOf8(start.size.height) },
    steps: body.steps,
    strength: start.strength,
    ...(start.exactSteps && { exactSteps: true }),
    sampler,
    guidanceScale: body.cfg_scale,
    ...graphOptions(body.tiling, start.merging, options, model),
  };
  const second = planSecond?.({ pass, model, resolved, images, reading });
  if (second) checkSize(second.pass.size);
  const refined = withRefiner(second ? [pass, second.pass] : [pass], body, options, models);
  const controls = units.flatMap(({ spec }) => spec ?? []);
  const imagePrompts = units.flatMap(({ imagePrompt }) => imagePrompt ?? []);
  const base = {
    init: start.init,
    noise: { ...planNoise(body, options), ...start.noise },
    promptOptions: {
      syntax: 'a1111',
      emphasis: emphasisOf(options.emphasis),
      clipSkip: Math.max(1, Math.trunc(options.CLIP_stop_at_last_layers)),
      commaPaddingBacktrack: options.comma_padding_backtrack,
    },
    ...(loras.length > 0 && { loras }),
    ...(controls.length > 0 && { controls }),
    ...(imagePrompts.length > 0 && { imagePrompts }),
  } satisfies Partial<GenerateJob>;
  const faces = planFaceRestoration(body, options, addOns, { ...base, pass, model: model.pack });
  const details =
    detailer &&
    planDetails(detailer, { body, options, installed, reading, resolved, model, pass, job: base });
  const extra: InfotextPair[] = [
    ...units.map(({ pair }) => pair),
    ...start.pairs,
    ...(second?.pairs ?? []),
    ...(start.noisePairs ?? []),
    ...samplingPairs(options, resolved, sampler.options),
    ...refined.pairs,
    ...(start.merging > 0 ? ([['Token merging ratio', pythonFloat(start.merging)]] as const) : []),
    ...(details?.pairs ?? []),
  ];
  const job: GenerateJob = {
    task: 'generate',
    images,
    batchSize: start.batchSize,
    ...base,
    passes: refined.passes,
    ...(details?.skipPasses && { skipPasses: true }),
    post: [...(faces?.steps ?? []), ...(details?.steps ?? [])],
    output: {
      ...planOutput(options, resolved, extra, images.length),
      ...(start.masks && start.masks.length > 0 && { masks: start.masks }),
    },
    keepUnfinished: true,
    ...previewsOf(options),
  };
  return {
    body,
    options,
    model,
    vae,
    resolved,
    size: start.size,
    denoisingStrength: second?.pass.strength ?? (start.init.from === 'noise' ? null : start.strength),
    extra,
    restorer: faces?.restorer ?? null,
    unknown: [
      ...resolved.unknown,
      ...(second?.unknown ?? []),
      ...(faces?.unknown ?? []),
      ...(details?.unknown ?? []),
    ],
    job,
  };
}

/** @throws AppError for ControlNets and IP-Adapters that the model cannot take */
function checkUnits(units: readonly ControlUnit[], model: ModelInfo, addOns: readonly AddOnInfo[]): void {
  for (const { spec, imagePrompt } of units) {
    requireOwnGraphs(model, 'alwayson_scripts.controlnet');
    const id = (spec ?? imagePrompt)?.id ?? '';
    const found = findAddOn(addOns, spec ? 'controlnet' : 'ip-adapter', id);
    const family = found?.pack.family ?? model.pack.family;
    if (family !== model.pack.family) {
      throw pythonException(
        'Exception',
        `ControlNet model ${id}(${family}) is not compatible with sd model(${model.pack.family})`,
      );
    }
  }
}

/** The LoRA that an option adds to every prompt, unless the prompt names it itself (extra_networks_lora.py). */
function extraLoras(
  { prompt }: GenerationBody,
  { sd_lora: name, extra_networks_default_multiplier: strength }: Options,
  addOns: readonly AddOnInfo[],
): LoraSpec[] {
  const lora = findLora(addOns, name);
  const named = [...prompt.matchAll(EXTRA_NETWORK)].some(([, kind, own]) => kind === 'lora' && own === name);
  return lora && !named ? [{ id: lora.pack.id, strength }] : [];
}

function checkCounts({ steps, n_iter }: GenerationBody, batchSize: number): void {
  const counts = { steps, batch_size: batchSize, n_iter };
  for (const [name, count] of Object.entries(counts)) {
    if (count < 1) throw httpException(422, `${name} must be at least 1`);
  }
  if (batchSize * n_iter > MOST_IMAGES)
    throw httpException(422, `batch_size × n_iter must not be above ${MOST_IMAGES}`);
}

function checkSize({ width, height }: Size): void {
  if (width < 8 || height < 8) throw httpException(422, 'width and height must be at least 8');
  if (width * height > MOST_PIXELS)
    throw httpException(422, `width × height must not be above ${MOST_PIXELS}`);
}

/** The seed, or a random one for -1. */
export function fixedSeed(seed: bigint): bigint {
  return seed === -1n ? randomSeed() % RANDOM_SEEDS : BigInt.asUintN(64, seed);
}

/** Images differ in their seeds; with a variation strength, in their variations only. */
function planImages(body: GenerationBody, batchSize: number, reading: PromptReading): ImageSpec[] {
  const prompts = readPrompts(
    { prompt: body.prompt, negativePrompt: body.negative_prompt, styles: body.styles },
    reading,
  );
  const seed = fixedSeed(body.seed);
  const subseed = fixedSeed(body.subseed);
  return Array.from({ length: batchSize * body.n_iter }, (_, index) => ({
    ...prompts,
    seed: BigInt.asUintN(64, seed + (body.subseed_strength === 0 ? BigInt(index) : 0n)),
    subseed: BigInt.asUintN(64, subseed + BigInt(index)),
  }));
}

function planNoise(body: GenerationBody, options: Options): NoiseSpec {
  const { seed_resize_from_w: width, seed_resize_from_h: height } = body;
  return {
    source: options.randn_source === 'CPU' ? 'torch-cpu' : 'philox',
    subseedStrength: body.subseed_strength,
    ...(width > 0 && height > 0 && { resizeFrom: { width, height } }),
    etaNoiseSeedDelta: options.eta_noise_seed_delta,
  };
}

function emphasisOf(name: string): PromptOptions['emphasis'] {
  switch (name) {
    case 'None':
      return 'none';
    case 'Ignore':
      return 'ignore';
    case 'No norm':
      return 'no-norm';
    default:
      return 'original';
  }
}

/** How files are encoded. @throws AppError as the original for other formats than its own */
export function planFile(options: Options): Pick<OutputSpec, 'format' | 'quality'> {
  const format = { png: 'png', jpg: 'jpeg', jpeg: 'jpeg', webp: 'webp' } as const;
  const name = options.samples_format.toLowerCase();
  if (!Object.hasOwn(format, name)) {
    throw httpException(500, 'Invalid image format');
  }
  return {
    format: format[name as keyof typeof format],
    quality: name === 'webp' && options.webp_lossless ? 1 : options.jpeg_quality / 100,
  };
}

function planOutput(
  options: Options,
  { sampler, schedule }: ResolvedSampler,
  extra: readonly InfotextPair[],
  images: number,
): OutputSpec {
  return {
    ...planFile(options),
    metadata: { samplerLabel: sampler.name, scheduleLabel: schedule.label, extra },
    // Files without a text; the answer still has the infotext.
    ...(!options.enable_pnginfo && { texts: Array.from({ length: images }, () => ({})) }),
  };
}

/** What previews are made by: "Approx cheap" unless the VAE or TAESD is asked for. "Approx NN" is a network of its own. */
function previewsOf({ show_progress_type: type }: Options): Pick<GenerateJob, 'previewBy'> {
  if (type === 'Full') return { previewBy: 'vae' };
  return type === 'TAESD' ? { previewBy: 'taesd' } : {};
}
