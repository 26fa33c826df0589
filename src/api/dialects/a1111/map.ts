import { multipleOf8, randomSeed } from '#api/job.ts';
import { fileName, findAddOn, findModel, requireOwnGraphs, selectedModel, shortHash } from '#api/models.ts';
import { pythonFloat, type InfotextPair } from '#codecs/infotext.ts';
import { stringifyJson } from '#codecs/json.ts';
import { applyStyles, stripComments } from '#codecs/prompt/a1111-prompt.ts';
import { AppError } from '#protocol/error.ts';
import type {
  GraphSpec,
  JobRecord,
  LoraSpec,
  OutputSpec,
  GeneratedImage,
  ImageSpec,
  PromptOptions,
  TextToImageJob,
} from '#protocol/job.ts';
import type { AddOnInfo, ModelInfo } from '#protocol/model.ts';
import type { KDiffusionOptions } from '#protocol/sampler.ts';
import type { ControlUnit } from './controlnet.ts';
import { httpException, pythonException } from './errors.ts';
import type { Options } from './options.ts';
import { resolveSampler, type ResolvedSampler } from './samplers.ts';
import type { Txt2imgBody } from './schema.ts';
import { findStyles } from './styles.ts';

export const VERSION = 'v1.10.1';

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
  job: TextToImageJob;
}

/**
 * The job that a request asks for.
 * @param options the options in force, the request's overrides included
 * @throws AppError `invalid_request` for sizes and counts that cannot be drawn, `model_not_found` when there is no model at all
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
  const graphs = graphOptions(body, options, model);
  checkUnits(units, model, addOns);
  const merging = graphs.tokenMerging ?? 0;
  const extra: InfotextPair[] = [
    ...extraPairs(options, resolved, sampling),
    ...(merging > 0 ? ([['Token merging ratio', pythonFloat(merging)]] as const) : []),
    ...units.map(({ pair }) => pair),
  ];
  const images = planImages(body);
  const job: TextToImageJob = {
    task: 'txt2img',
    model: model.pack.id,
    images,
    batchSize: body.batch_size,
    width: multipleOf8(body.width),
    height: multipleOf8(body.height),
    steps: body.steps,
    guidanceScale: body.cfg_scale,
    sampler: {
      family: 'k-diffusion',
      sampler: resolved.sampler.id,
      schedule: resolved.schedule.name,
      options: sampling,
    },
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
    ...(vae && { vae: vae.pack.id }),
    ...(units.length > 0 && { controls: units.map(({ spec }) => spec) }),
    ...(Object.keys(graphs).length > 0 && { graphs }),
    output: planOutput(options, resolved, extra, images.length),
    keepUnfinished: true,
  };
  return { body, options, model, vae, resolved, extra, job };
}

/** More than the tokens that can be merged: of four, one stays. */
const MOST_MERGED = 0.75;

/** How the request wants the networks written. @throws AppError `unsupported_feature` where that cannot be */
function graphOptions(body: Txt2imgBody, options: Options, model: ModelInfo): GraphSpec {
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
  const lora = findAddOn(addOns, 'lora', name);
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
function planImages(body: Txt2imgBody): ImageSpec[] {
  const finish = (text: string) =>
    body.disable_extra_networks ? stripComments(text).replaceAll(EXTRA_NETWORK, '') : stripComments(text);
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
    negativePrompt: [stripComments(negativePrompt)],
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

/** Samplers on DDIM's own timesteps take their eta from an option of their own. */
const DDIM_FAMILY = ['ddim', 'ddim_cfgpp', 'plms', 'unipc'];
const WITH_CHURN = ['euler', 'heun', 'dpm_2'];

function oneOf<const T extends string>(value: string, allowed: readonly T[], option: string): T {
  const found = allowed.find((item) => item === value);
  if (found === undefined)
    throw httpException(422, `option '${option}' must be one of ${allowed.join(', ')}`);
  return found;
}

function samplingOptions(
  body: Txt2imgBody,
  options: Options,
  { sampler }: ResolvedSampler,
): KDiffusionOptions {
  const defaultEta = DDIM_FAMILY.includes(sampler.id) ? options.eta_ddim : options.eta_ancestral;
  return {
    eta: body.eta ?? defaultEta,
    sChurn: body.s_churn ?? options.s_churn,
    sTmin: body.s_tmin ?? options.s_tmin,
    sTmax: body.s_tmax ?? options.s_tmax,
    sNoise: body.s_noise ?? options.s_noise,
    sMinUncond: body.s_min_uncond ?? options.s_min_uncond,
    sMinUncondAll: options.s_min_uncond_all,
    skipEarlyCond: options.skip_early_cond,
    sigmaMin: options.sigma_min,
    sigmaMax: options.sigma_max,
    rho: options.rho,
    oldKarrasSigmas: options.use_old_karras_scheduler_sigmas,
    discardNextToLastSigma: options.always_discard_next_to_last_sigma,
    sgmNoiseMultiplier: options.sgm_noise_multiplier,
    ddimDiscretize: oneOf(options.ddim_discretize, ['uniform', 'quad'], 'ddim_discretize'),
    uniPcVariant: oneOf(options.uni_pc_variant, ['bh1', 'bh2', 'vary_coeff'], 'uni_pc_variant'),
    uniPcSkipType: oneOf(
      options.uni_pc_skip_type,
      ['time_uniform', 'time_quadratic', 'logSNR'],
      'uni_pc_skip_type',
    ),
    uniPcOrder: options.uni_pc_order,
    uniPcLowerOrderFinal: options.uni_pc_lower_order_final,
    betaDistAlpha: options.beta_dist_alpha,
    betaDistBeta: options.beta_dist_beta,
    ...(sampler.options['solver_type'] === 'heun' && { solverType: 'heun' }),
    quantize: options.enable_quantization,
    noiseSchedule: options.sd_noise_schedule === 'Zero Terminal SNR' ? 'zero_terminal_snr' : 'default',
  };
}

/** What the infotext says beyond its fixed pairs, in the order in which the original comes to say it. */
function extraPairs(
  options: Options,
  { sampler, schedule }: ResolvedSampler,
  sampling: KDiffusionOptions,
): InfotextPair[] {
  const pairs: InfotextPair[] = [];
  const unless = (usual: number | undefined, value: number | undefined, key: string) => {
    if (value !== undefined && value !== usual) pairs.push([key, pythonFloat(value)]);
  };
  const ddim = DDIM_FAMILY.includes(sampler.id);
  if (options.emphasis !== 'Original') pairs.push(['Emphasis', options.emphasis]);
  if (!ddim && schedule.name !== 'automatic') {
    unless(0, sampling.sigmaMin, 'Schedule min sigma');
    unless(0, sampling.sigmaMax, 'Schedule max sigma');
    if (schedule.default_rho !== -1) unless(0, sampling.rho, 'Schedule rho');
  }
  if (sampling.discardNextToLastSigma) pairs.push(['Discard penultimate sigma', 'True']);
  if (schedule.name === 'beta') {
    unless(0.6, sampling.betaDistAlpha, 'Beta schedule alpha');
    unless(0.6, sampling.betaDistBeta, 'Beta schedule beta');
  }
  unless(ddim ? 0 : 1, sampling.eta, ddim ? 'Eta DDIM' : 'Eta');
  if (WITH_CHURN.includes(sampler.id)) {
    unless(0, sampling.sChurn, 'Sigma churn');
    unless(0, sampling.sTmin, 'Sigma tmin');
    unless(0, sampling.sTmax, 'Sigma tmax');
  }
  if (!ddim) unless(1, sampling.sNoise, 'Sigma noise');
  if (sampler.id === 'unipc') {
    if (options.uni_pc_variant !== 'bh1') pairs.push(['UniPC variant', options.uni_pc_variant]);
    if (options.uni_pc_skip_type !== 'time_uniform')
      pairs.push(['UniPC skip type', options.uni_pc_skip_type]);
    if (options.uni_pc_order !== 3) pairs.push(['UniPC order', String(options.uni_pc_order)]);
    if (!options.uni_pc_lower_order_final) pairs.push(['UniPC lower order final', 'False']);
  }
  unless(0, sampling.sMinUncond, 'NGMS');
  if (sampling.sMinUncondAll && sampling.sMinUncond) pairs.push(['NGMS all steps', 'True']);
  unless(0, sampling.skipEarlyCond, 'Skip Early CFG');
  if (sampling.sgmNoiseMultiplier) pairs.push(['SGM noise multiplier', 'True']);
  if (sampling.noiseSchedule === 'zero_terminal_snr') pairs.push(['Noise Schedule', 'Zero Terminal SNR']);
  return pairs;
}

/** `20260131235959`, by the local clock. */
export function timestamp(milliseconds: number): string {
  const date = new Date(milliseconds);
  const parts = [date.getMonth() + 1, date.getDate(), date.getHours(), date.getMinutes(), date.getSeconds()];
  return [date.getFullYear(), ...parts.map((part) => String(part).padStart(2, '0'))].join('');
}

/**
 * The answer's `info`: JSON in a string, with exactly the keys of the original's `Processed`.
 * @param grid the infotext of the grid in front of the images, if there is one
 */
export function describeRun(
  { body, options, model, vae, resolved, extra, job }: Plan,
  record: JobRecord,
  images: readonly GeneratedImage[],
  grid: string | null,
): string {
  const [first] = job.images;
  return stringifyJson({
    prompt: first?.prompt[0] ?? '',
    all_prompts: job.images.map((image) => image.prompt[0]),
    negative_prompt: first?.negativePrompt[0] ?? '',
    all_negative_prompts: job.images.map((image) => image.negativePrompt[0]),
    seed: first?.seed ?? -1,
    all_seeds: job.images.map((image) => image.seed),
    subseed: first?.subseed ?? -1,
    all_subseeds: job.images.map((image) => image.subseed),
    subseed_strength: body.subseed_strength,
    width: body.width,
    height: body.height,
    sampler_name: resolved.sampler.name,
    cfg_scale: body.cfg_scale,
    steps: body.steps,
    batch_size: body.batch_size,
    restore_faces: false,
    face_restoration_model: null,
    sd_model_name: model.pack.id,
    sd_model_hash: shortHash(model),
    sd_vae_name: vae && fileName(vae),
    sd_vae_hash: vae && shortHash(vae),
    seed_resize_from_w: body.seed_resize_from_w,
    seed_resize_from_h: body.seed_resize_from_h,
    denoising_strength: body.denoising_strength,
    extra_generation_params: Object.fromEntries(extra),
    index_of_first_image: grid === null ? 0 : 1,
    infotexts: [...(grid === null ? [] : [grid]), ...images.map((image) => image.infotext)],
    styles: body.styles ?? [],
    job_timestamp: timestamp(record.startedAt ?? record.queuedAt),
    clip_skip: options.CLIP_stop_at_last_layers,
    is_using_inpainting_conditioning: false,
    version: VERSION,
  });
}
