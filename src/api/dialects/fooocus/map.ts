import { multipleOf8, TORCH_NOISE } from '#api/job.ts';
import { findAddOn, findModel, requireOwnGraphs, selectedModel, shortHash } from '#api/models.ts';
import {
  expandFooocusPrompt,
  MAX_LORAS,
  splitPromptLines,
  type FooocusImageTexts,
  type LoraChoice,
} from './prompt.ts';
import { AppError } from '#protocol/error.ts';
import type { GenerateJob, GraphOptions, OutputSpec } from '#protocol/job.ts';
import type { AddOnInfo, ModelInfo } from '#protocol/model.ts';
import type { Reply } from './jobs.ts';
import { DEFAULT_VAE, describeImage, type DescribedLora, type ImageFacts } from './metadata.ts';
import { performances, type Performance } from './performance.ts';
import { chooseSampler, isSampler, isSchedule } from './samplers.ts';
import type { CommonRequest } from './schema.ts';
import { styles } from './styles/index.ts';
import { wildcards } from './wildcards/index.ts';

const SEEDS = 1n << 63n;

/** A job, and what was asked for without effect. */
export interface JobPlan {
  job: GenerateJob;
  /** Parameters, and after a colon which part of them. */
  withoutEffect: string[];
}

/**
 * The job of a generation that starts from no image.
 * @param sent names of the parameters that the client gave
 * @throws AppError `model_not_found`
 */
export function toJob(
  request: CommonRequest,
  models: readonly ModelInfo[],
  addOns: readonly AddOnInfo[],
  sent: ReadonlySet<string>,
): JobPlan {
  const withoutEffect: string[] = [];
  const named = findModel(models, request.base_model_name);
  if (!named && sent.has('base_model_name')) withoutEffect.push('base_model_name');
  const model = named ?? selectedModel(models);
  if (!model) throw new AppError('model_not_found', 'No model is installed. Install one in the app.');

  const settings = readSettings(request);
  withoutEffect.push(...settings.withoutEffect);

  const { vae_name: vaeName } = request.advanced_params;
  const vae = findAddOn(addOns, 'vae', vaeName) ?? null;
  if (!vae && namesVae(vaeName)) withoutEffect.push('advanced_params.vae_name');

  const freeU = readFreeU(request);
  if (freeU) requireOwnGraphs(model, 'advanced_params.freeu_enabled');

  const asked = readLoras(request, model, addOns);
  if (sent.has('loras')) withoutEffect.push(...asked.missing.map((name) => `loras:${name}`));
  // The mode's own LoRA cannot be named in the prompt (util.py, `remove_performance_lora`).
  const modeLora = settings.lora && findAddOn(addOns, 'lora', settings.lora.name);
  if (settings.lora && !modeLora) withoutEffect.push(`performance_selection:${settings.lora.name}`);

  const prompts = expandFooocusPrompt({
    prompt: request.prompt,
    negativePrompt: request.negative_prompt,
    styles: request.style_selections,
    images: request.image_number,
    seed: chooseSeed(request.image_seed),
    sameSeed: request.advanced_params.disable_seed_increment,
    wildcardsInOrder: request.read_wildcards_in_order,
    loras: asked.loras,
    findLora: (stem) => {
      const lora = findAddOn(addOns, 'lora', stem);
      if (lora && lora !== modeLora) return lora.pack.id;
      withoutEffect.push(`prompt:lora:${stem}`);
      return undefined;
    },
    knownStyles: styles,
    wildcards,
  });
  if (sent.has('style_selections')) {
    withoutEffect.push(...prompts.stylesWithoutEffect.map((name) => `style_selections:${name}`));
  }

  const loras = [
    ...prompts.loras,
    ...(settings.lora && modeLora ? [{ name: modeLora.pack.id, weight: settings.lora.weight }] : []),
  ];
  const described = loras.map((lora) => {
    const installed = findAddOn(addOns, 'lora', lora.name);
    return { ...lora, hash: installed ? shortHash(installed) : '' };
  });

  return {
    withoutEffect,
    job: {
      task: 'generate',
      images: prompts.images.map(({ seed, positive, negative }) => ({
        prompt: positive,
        negativePrompt: negative,
        seed,
        subseed: 0n,
      })),
      // Fooocus generates its images one after another, each with a seed of its own.
      batchSize: 1,
      init: { from: 'noise' },
      passes: [
        {
          model: model.pack.id,
          ...(vae && { vae: vae.pack.id }),
          size: settings.size,
          steps: settings.steps,
          strength: 1,
          sampler: chooseSampler(settings.sampler, settings.schedule),
          guidanceScale: settings.guidanceScale,
          ...(freeU && { graph: { freeU } }),
        },
      ],
      // Fooocus draws the SDE samplers' paths on the card, whatever the sampler's name says.
      noise: { ...TORCH_NOISE, brownianSource: 'philox' },
      promptOptions: {
        syntax: 'fooocus',
        emphasis: 'original',
        clipSkip: request.advanced_params.clip_skip,
        commaPaddingBacktrack: 0,
      },
      ...(loras.length > 0 && { loras: loras.map(({ name, weight }) => ({ id: name, strength: weight })) }),
      post: [],
      output: describeOutput(
        request,
        {
          ...settings,
          vae: vae?.pack.id ?? DEFAULT_VAE,
          freeU: freeU && [freeU.b1, freeU.b2, freeU.s1, freeU.s2],
        },
        model,
        described,
        prompts.images,
      ),
      keepUnfinished: false,
    },
  };
}

/** Whether `vae_name` names a file. */
function namesVae(name: string): boolean {
  return !['', 'None', DEFAULT_VAE].includes(name);
}

/** As many LoRAs of a request as Fooocus takes; `missing` ones are not installed. */
function readLoras(
  request: CommonRequest,
  model: ModelInfo,
  addOns: readonly AddOnInfo[],
): { loras: LoraChoice[]; missing: string[] } {
  const loras: LoraChoice[] = [];
  const missing: string[] = [];
  for (const { enabled, model_name: name, weight } of request.loras.slice(0, MAX_LORAS)) {
    if (!enabled || name === 'None') continue;
    const lora = findAddOn(addOns, 'lora', name);
    const fits = lora && [null, model.pack.family].includes(lora.pack.family);
    if (fits) loras.push({ name: lora.pack.id, weight });
    else missing.push(name);
  }
  return { loras, missing };
}

/** What is kept with the job for its later answers. */
export function toReply(request: CommonRequest, jobType: string): Reply {
  return {
    jobType,
    saveName: request.save_name,
    extension: request.save_extension,
    requireBase64: request.require_base64,
    preview: !request.advanced_params.disable_preview,
    webhookUrl: request.webhook_url,
  };
}

/** -1 and whatever is out of range leave the seed to chance. */
function chooseSeed(seed: bigint): bigint {
  if (seed >= 0n && seed < SEEDS) return seed;
  const [random = 0n] = crypto.getRandomValues(new BigUint64Array(1));
  return random % SEEDS;
}

type Settings = ReturnType<typeof readSettings>;

/** FreeU in its second version, as `core.apply_freeu` has it; null where it is off. */
function readFreeU({ advanced_params: advanced }: CommonRequest): Required<GraphOptions>['freeU'] | null {
  if (!advanced.freeu_enabled) return null;
  const { freeu_b1: b1, freeu_b2: b2, freeu_s1: s1, freeu_s2: s2 } = advanced;
  return { b1, b2, s1, s2, version: 2 };
}

/** Sampler, size and the like, after the performance mode and the overwriting fields have had their say. */
function readSettings(request: CommonRequest) {
  const advanced = request.advanced_params;
  const mode: Performance = performances[request.performance_selection];
  const { sampler_name: sampler, scheduler_name: schedule } = advanced;
  const size = request.aspect_ratios_selection;
  const shared = {
    steps: advanced.overwrite_step > 0 ? advanced.overwrite_step : mode.steps,
    size: {
      width: advanced.overwrite_width > 0 ? multipleOf8(advanced.overwrite_width) : size.width,
      height: advanced.overwrite_height > 0 ? multipleOf8(advanced.overwrite_height) : size.height,
    },
  };
  if (mode.distilled) {
    // `set_lcm_defaults` and its siblings in async_worker.py.
    const { lora, weight } = mode.distilled;
    return {
      ...shared,
      sampler: mode.distilled.sampler,
      schedule: mode.distilled.schedule,
      guidanceScale: 1,
      sharpness: 0,
      refinerSwitch: 1,
      adaptiveCfg: 1,
      admGuidance: [1, 1, 0] as const,
      lora: { name: lora, weight },
      withoutEffect: [],
    };
  }
  const withoutEffect: string[] = [];
  if (!isSampler(sampler)) withoutEffect.push('advanced_params.sampler_name');
  if (!isSchedule(schedule)) withoutEffect.push('advanced_params.scheduler_name');
  return {
    ...shared,
    sampler: isSampler(sampler) ? sampler : ('dpmpp_2m_sde_gpu' as const),
    schedule: isSchedule(schedule) ? schedule : ('karras' as const),
    guidanceScale: request.guidance_scale,
    sharpness: request.sharpness,
    refinerSwitch: request.refiner_switch,
    adaptiveCfg: advanced.adaptive_cfg,
    admGuidance: [
      advanced.adm_scaler_positive,
      advanced.adm_scaler_negative,
      advanced.adm_scaler_end,
    ] as const,
    lora: null,
    withoutEffect,
  };
}

const FORMATS = { png: 'png', jpg: 'jpeg', jpeg: 'jpeg', webp: 'webp' } as const;

/** How the images are encoded; those saved as `jpg` carry no texts, as in Fooocus. */
function describeOutput(
  request: CommonRequest,
  settings: Settings & Pick<ImageFacts, 'vae' | 'freeU'>,
  model: ModelInfo,
  loras: readonly DescribedLora[],
  images: readonly FooocusImageTexts[],
): OutputSpec {
  const output: OutputSpec = { format: FORMATS[request.save_extension], quality: 0.95, metadata: null };
  if (!request.save_meta || request.save_extension === 'jpg') return output;
  const texts = images.map((image) =>
    describeImage(
      {
        ...settings,
        prompt: logLines(image.prompt, image.positive, request.prompt),
        negativePrompt: logLines(image.negativePrompt, image.negative, request.negative_prompt),
        fullPrompt: image.positive,
        fullNegativePrompt: image.negative,
        styles: image.styles,
        seed: image.seed,
        performance: request.performance_selection,
        model: model.pack.id,
        modelHash: shortHash(model),
        loras,
        clipSkip: request.advanced_params.clip_skip,
      },
      request.meta_scheme,
    ),
  );
  return { ...output, texts };
}

/** The main prompt and the further lines of a prompt, which stand at the end of all its texts. */
function logLines(main: string, texts: readonly string[], prompt: string): string {
  const further = Math.max(0, splitPromptLines(prompt).length - 1);
  return [main, ...(further > 0 ? texts.slice(-further) : [])].join('\n');
}
