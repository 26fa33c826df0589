import { multipleOf8, randomSeed } from '#api/job.ts';
import { findAddOn, findModel, requireOwnGraphs, selectedModel } from '#api/models.ts';
import { pythonFloat, type InfotextPair } from '#codecs/infotext.ts';
import { AppError } from '#protocol/error.ts';
import type {
  GenerateJob,
  GraphOptions,
  ImageSpec,
  LoraSpec,
  OutputSpec,
  Pass,
  PromptOptions,
} from '#protocol/job.ts';
import type { AddOnInfo, ModelInfo } from '#protocol/model.ts';
import type { ControlUnit } from './controlnet-unit.ts';
import { httpException, pythonException } from './errors.ts';
import { findLora } from './loras.ts';
import type { Options } from './options.ts';
import { applyStyles, stripComments } from './prompt.ts';
import { resolveSampler, type ResolvedSampler } from './samplers.ts';
import { samplingOptions, samplingPairs } from './sampling.ts';
import { findStyles } from './styles.ts';
import type { Txt2imgBody } from './txt2img-body.ts';

/** Sides and pixels beyond this are a slip of the keyboard. */
const MOST_PIXELS = 4096 * 4096;
/** Images of one request. */
const MOST_IMAGES = 1000;
/** The original draws random seeds below this. */
const RANDOM_SEEDS = 4294967294n;

/** A request as it is understood: everything that the job and the answer are made of. */
export interface Plan {
  body: Txt2imgBody;
  options: Options;
  model: ModelInfo;
  /** The replacement VAE; null is the model's own. */
  vae: AddOnInfo | null;
  resolved: ResolvedSampler;
  /** Extra pairs of the infotext. */
  extra: InfotextPair[];
  job: GenerateJob;
}

/**
 * The job that a request asks for.
 * @param options the options in force, the request's overrides included
 * @throws AppError `invalid_request` for sizes and counts that cannot be generated, `model_not_found` when there is no model at all
 */
export function planJob(
  body: Txt2imgBody,
  options: Options,
  models: readonly ModelInfo[],
  addOns: readonly AddOnInfo[],
  units: readonly ControlUnit[] = [],
): Plan {
  checkCounts(body);
  const resolved = resolveSampler(body.sampler_name || body.sampler_index, body.scheduler);
  const named =
    options.sd_model_checkpoint === null ? undefined : findModel(models, options.sd_model_checkpoint);
  const model = named ?? selectedModel(models);
  if (!model)
    throw new AppError('model_not_found', 'No model is installed. Install one in the Models panel.');
  const vae = findAddOn(addOns, 'vae', options.sd_vae) ?? null;
  const loras = body.disable_extra_networks ? [] : extraLoras(body, options, addOns);
  const sampling = samplingOptions(body, options, resolved);
  const graph = graphOptions(body, options, model);
  checkUnits(units, model, addOns);
  const merging = graph.tokenMerging ?? 0;
  const extra: InfotextPair[] = [
    ...samplingPairs(options, resolved, sampling),
    ...(merging > 0 ? ([['Token merging ratio', pythonFloat(merging)]] as const) : []),
    ...units.map(({ pair }) => pair),
  ];
  const images = planImages(body, options);
  const pass: Pass = {
    model: model.pack.id,
    ...(vae && { vae: vae.pack.id }),
    size: { width: multipleOf8(body.width), height: multipleOf8(body.height) },
    steps: body.steps,
    strength: 1,
    sampler: {
      family: 'k-diffusion',
      sampler: resolved.sampler.id,
      schedule: resolved.schedule.name,
      options: sampling,
    },
    guidanceScale: body.cfg_scale,
    ...(Object.keys(graph).length > 0 && { graph }),
  };
  const job: GenerateJob = {
    task: 'generate',
    images,
    batchSize: body.batch_size,
    init: { from: 'noise' },
    passes: [pass],
    noise: {
      source: options.randn_source === 'CPU' ? 'torch-cpu' : 'philox',
      subseedStrength: body.subseed_strength,
      ...(body.seed_resize_from_w > 0 &&
        body.seed_resize_from_h > 0 && {
          resizeFrom: { width: body.seed_resize_from_w, height: body.seed_resize_from_h },
        }),
      etaNoiseSeedDelta: options.eta_noise_seed_delta,
    },
    promptOptions: {
      syntax: 'a1111',
      emphasis: emphasisOf(options.emphasis),
      clipSkip: Math.max(1, Math.trunc(options.CLIP_stop_at_last_layers)),
      commaPaddingBacktrack: options.comma_padding_backtrack,
    },
    ...(loras.length > 0 && { loras }),
    ...(units.length > 0 && { controls: units.map(({ spec }) => spec) }),
    post: [],
    output: planOutput(options, resolved, extra, images.length),
    keepUnfinished: true,
  };
  return { body, options, model, vae, resolved, extra, job };
}

/** More than the tokens that can be merged: of four, one stays. */
const MOST_MERGED = 0.75;

/** How the request wants the networks built. @throws AppError `unsupported_feature` where that cannot be */
function graphOptions(body: Txt2imgBody, options: Options, model: ModelInfo): GraphOptions {
  const tiling = body.tiling ?? options.tiling;
  const merging = Math.min(options.token_merging_ratio, MOST_MERGED);
  if (tiling) requireOwnGraphs(model, 'tiling');
  if (merging > 0) requireOwnGraphs(model, 'token_merging_ratio');
  return { ...(tiling && { tiling }), ...(merging > 0 && { tokenMerging: merging }) };
}

/** @throws AppError for ControlNets that the model cannot take */
function checkUnits(units: readonly ControlUnit[], model: ModelInfo, addOns: readonly AddOnInfo[]): void {
  for (const { spec } of units) {
    requireOwnGraphs(model, 'alwayson_scripts.controlnet');
    const family = findAddOn(addOns, 'controlnet', spec.id)?.pack.family ?? model.pack.family;
    if (family !== model.pack.family) {
      throw pythonException(
        'Exception',
        `ControlNet model ${spec.id}(${family}) is not compatible with sd model(${model.pack.family})`,
      );
    }
  }
}

/** Tags of LoRAs and the like in a prompt, with the kind and the name of each (A1111, modules/extra_networks.py). */
export const EXTRA_NETWORK = /<(\w+):([^:>]+)[^>]*>/g;

/** The LoRA that an option adds to every prompt, unless the prompt names it itself (extra_networks_lora.py). */
function extraLoras(
  { prompt }: Txt2imgBody,
  { sd_lora: name, extra_networks_default_multiplier: strength }: Options,
  addOns: readonly AddOnInfo[],
): LoraSpec[] {
  const lora = findLora(addOns, name);
  const named = [...prompt.matchAll(EXTRA_NETWORK)].some(([, kind, own]) => kind === 'lora' && own === name);
  return lora && !named ? [{ id: lora.pack.id, strength }] : [];
}

function checkCounts({ width, height, steps, batch_size, n_iter }: Txt2imgBody): void {
  const counts = { steps, batch_size, n_iter };
  for (const [name, count] of Object.entries(counts)) {
    if (count < 1) throw httpException(422, `${name} must be at least 1`);
  }
  if (batch_size * n_iter > MOST_IMAGES)
    throw httpException(422, `batch_size × n_iter must not be above ${MOST_IMAGES}`);
  if (width < 8 || height < 8) throw httpException(422, 'width and height must be at least 8');
  if (width * height > MOST_PIXELS)
    throw httpException(422, `width × height must not be above ${MOST_PIXELS}`);
}

function fixedSeed(seed: bigint): bigint {
  return seed === -1n ? randomSeed() % RANDOM_SEEDS : BigInt.asUintN(64, seed);
}

/** Images differ in their seeds; with a variation strength, in their variations only. */
function planImages(body: Txt2imgBody, options: Options): ImageSpec[] {
  const strip = (text: string) => (options.enable_prompt_comments ? stripComments(text) : text);
  const finish = (text: string) =>
    body.disable_extra_networks ? strip(text).replaceAll(EXTRA_NETWORK, '') : strip(text);
  const styles = findStyles(body.styles ?? []);
  const prompt = applyStyles(
    body.prompt,
    styles.map((style) => style.prompt),
  );
  const negativePrompt = applyStyles(
    body.negative_prompt,
    styles.map((style) => style.negative_prompt),
  );
  const seed = fixedSeed(body.seed);
  const subseed = fixedSeed(body.subseed);
  return Array.from({ length: body.batch_size * body.n_iter }, (_, index) => ({
    prompt: [finish(prompt)],
    negativePrompt: [strip(negativePrompt)],
    seed: BigInt.asUintN(64, seed + (body.subseed_strength === 0 ? BigInt(index) : 0n)),
    subseed: BigInt.asUintN(64, subseed + BigInt(index)),
  }));
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
