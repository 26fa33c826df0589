import { TORCH_NOISE } from '#api/job.ts';
import { findAddOn, findModel, requireOwnGraphs, selectedModel, shortHash } from '#api/models.ts';
import { styles } from '#codecs/prompt/styles/index.ts';
import { planInpaintTask } from '#imaging/fooocus/image-input.ts';
import { AppError } from '#protocol/error.ts';
import type { GenerateJob, Job, Pass, Size, UpscaleJob } from '#protocol/job.ts';
import { usableAddOns, type AddOnInfo, type ModelInfo } from '#protocol/model.ts';
import { expansionOf } from '#protocol/prompt-expansion.ts';
import { planImagePrompts } from './image-prompts.ts';
import { chooseInpaintPatch, planUnpatchedRefiner } from './inpaint-patch.ts';
import type { InputImage, InputImages } from './input-images.ts';
import type { Reply } from './jobs.ts';
import { describeLoras, readLoras } from './loras.ts';
import { DEFAULT_VAE } from './metadata.ts';
import { describeOutput, encodingOf } from './output.ts';
import { expandFooocusPrompt, PROMPT_EXPANSION, type FooocusImageTexts } from './prompt.ts';
import { readRefiner } from './refiner.ts';
import { chooseSampler } from './samplers.ts';
import type { CommonRequest } from './schema.ts';
import { admWithoutEffect, readFreeU, readGuidance, readNumbers, readSettings } from './settings.ts';
import { chooseUpscaler, FOOOCUS_UPSCALER, planStart, readUpscale } from './start.ts';
import { wildcards } from './wildcards/index.ts';

const SEEDS = 1n << 63n;

/** What is installed. */
export interface Installed {
  models: readonly ModelInfo[];
  addOns: readonly AddOnInfo[];
}

/** A job, and the parameters without effect. */
export interface JobPlan {
  job: Job;
  /** Parameters, and after a colon which part of them. */
  withoutEffect: string[];
}

/**
 * The job of a request.
 * @param sent names of the parameters that the client gave
 * @throws AppError `model_not_found` for what is needed and not installed, `unsupported_feature` for what cannot be done,
 *   `invalid_request` for images too narrow
 */
export function toJob(
  request: CommonRequest,
  images: InputImages,
  installed: Installed,
  sent: ReadonlySet<string>,
): JobPlan {
  const upscale = readUpscale(images, request);
  const withoutEffect =
    upscale && chooseUpscaler(installed.addOns) === null ? [`uov_method:${FOOOCUS_UPSCALER}`] : [];
  const plan =
    upscale && !upscale.diffusion && images.upscaleOrVary
      ? {
          job: toUpscaleJob(request, images.upscaleOrVary.image, upscale.resized, installed),
          withoutEffect: [],
        }
      : toGenerateJob(request, images, installed, sent);
  return { job: plan.job, withoutEffect: [...withoutEffect, ...plan.withoutEffect] };
}

/** The job of an image that is upscaled and not generated from. As in Fooocus its file says nothing of it. */
function toUpscaleJob(
  request: CommonRequest,
  { file }: InputImage,
  size: Size,
  { addOns }: Installed,
): UpscaleJob {
  const seed = chooseSeed(request.image_seed);
  return {
    task: 'upscale',
    sources: [{ image: file, known: { prompt: request.prompt, seed, infotext: '' } }],
    post: [
      {
        kind: 'upscale',
        upscaler: chooseUpscaler(addOns) ?? 'Lanczos',
        size: { ...size, crop: false, stretch: true },
      },
    ],
    output: { ...encodingOf(request), texts: false },
  };
}

/** The job of images that are generated. @throws AppError as {@link toJob} */
export function toGenerateJob(
  sentRequest: CommonRequest,
  images: InputImages,
  { models, addOns }: Installed,
  sent: ReadonlySet<string>,
): { job: GenerateJob; withoutEffect: string[] } {
  const request = { ...sentRequest, prompt: promptOf(sentRequest, images) };
  const withoutEffect: string[] = [];
  const named = findModel(models, request.base_model_name);
  if (!named && sent.has('base_model_name')) withoutEffect.push('base_model_name');
  const model = named ?? selectedModel(models);
  if (!model) throw new AppError('model_not_found', 'No model is installed. Install one in the app.');

  const asked = readSettings(request);
  withoutEffect.push(...asked.withoutEffect, ...admWithoutEffect(request, model.pack.family));
  const numbers = readNumbers(request, asked, readUpscale(images, request) !== null);
  const start = planStart(images, request, numbers.size, chooseUpscaler(addOns));
  const { controls, imagePrompts } = planImagePrompts(images.prompts, request, model, addOns);
  const refiner = readRefiner(request, { ...asked, ...numbers }, model, models);
  withoutEffect.push(...refiner.withoutEffect);
  const { inpaint_engine: engine } = request.advanced_params;
  const patch = images.inpaint ? chooseInpaintPatch(engine, model, addOns) : null;
  if (patch === 'missing') withoutEffect.push('advanced_params.inpaint_engine');
  const isPatched = patch !== null && patch !== 'missing';
  const unpatched = isPatched && !refiner.model ? planUnpatchedRefiner(request, model) : null;
  const settings = { ...asked, ...(unpatched && { refinerSwitch: unpatched.refinerSwitch }) };
  const takesOver = refiner.refiner ?? unpatched?.refiner;

  const { vae_name: vaeName } = request.advanced_params;
  const vae = findAddOn(addOns, 'vae', vaeName) ?? null;
  if (!vae && namesVae(vaeName)) withoutEffect.push('advanced_params.vae_name');

  const freeU = readFreeU(request);
  if (freeU) requireOwnGraphs(model, 'advanced_params.freeu_enabled');

  const asksFor = readLoras(request, model, addOns);
  if (sent.has('loras')) withoutEffect.push(...asksFor.missing.map((name) => `loras:${name}`));
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
    loras: asksFor.loras,
    findLora: (stem) => {
      const lora = findAddOn(addOns, 'lora', stem);
      if (lora && lora !== modeLora) return lora.pack.id;
      withoutEffect.push(`prompt:lora:${stem}`);
      return undefined;
    },
    knownStyles: styles,
    wildcards,
  });
  const [generator] = usableAddOns(addOns, 'prompt-expansion');
  const expander = request.style_selections.includes(PROMPT_EXPANSION) ? generator?.pack.id : undefined;
  if (sent.has('style_selections')) {
    const lost = prompts.stylesWithoutEffect.filter(
      (name) => name !== PROMPT_EXPANSION || expander === undefined,
    );
    withoutEffect.push(...lost.map((name) => `style_selections:${name}`));
  }
  // An empty prompt has nothing to go on with.
  const expands = ({ prompt }: FooocusImageTexts) => expander !== undefined && prompt !== '';

  const loras = [
    ...prompts.loras,
    ...(settings.lora && modeLora ? [{ name: modeLora.pack.id, weight: settings.lora.weight }] : []),
  ];
  const pass: Pass = {
    model: model.pack.id,
    ...(vae && { vae: vae.pack.id }),
    ...(takesOver && { refiner: takesOver }),
    ...start.pass,
    steps: numbers.steps,
    sampler: chooseSampler(settings.sampler, settings.schedule),
    guidanceScale: settings.guidanceScale,
    fooocusGuidance: readGuidance(settings),
    ...(freeU && { graph: { freeU } }),
  };
  const facts = {
    ...settings,
    steps: numbers.steps,
    size: start.generated,
    denoisingStrength: start.init.from === 'noise' ? null : start.pass.strength,
    refiner: refiner.model && { name: refiner.model.pack.id, hash: shortHash(refiner.model) },
    overwriteSwitch: request.advanced_params.overwrite_switch,
    vae: vae?.pack.id ?? DEFAULT_VAE,
    loras: describeLoras(loras, addOns),
    freeU: freeU && ([freeU.b1, freeU.b2, freeU.s1, freeU.s2] as const),
  };
  return {
    withoutEffect,
    job: {
      task: 'generate',
      images: prompts.images.map((image) => ({
        prompt: image.positive,
        negativePrompt: image.negative,
        seed: image.seed,
        subseed: 0n,
        ...(expander !== undefined &&
          expands(image) && { expansion: expansionOf(expander, image.prompt, image.seed, 'more') }),
      })),
      // Fooocus generates its images one after another, each with a seed of its own.
      batchSize: 1,
      init: start.init.from === 'masked' && isPatched ? { ...start.init, patch } : start.init,
      passes: [pass],
      // Fooocus generates the SDE samplers' noise on the GPU, whatever the sampler's name says.
      noise: { ...TORCH_NOISE, brownianSource: 'philox' },
      promptOptions: {
        syntax: 'fooocus',
        emphasis: 'original',
        clipSkip: request.advanced_params.clip_skip,
        commaPaddingBacktrack: 0,
      },
      ...(loras.length > 0 && { loras: loras.map(({ name, weight }) => ({ id: name, strength: weight })) }),
      ...(controls.length > 0 && { controls }),
      ...(imagePrompts.length > 0 && { imagePrompts }),
      post: [],
      output: describeOutput(request, facts, model, prompts.images, expands),
      keepUnfinished: false,
    },
  };
}

/** The prompt, with a line before it for what is inpainted. */
function promptOf(
  { prompt, refiner_switch: refinerSwitch }: CommonRequest,
  { inpaint }: InputImages,
): string {
  if (!inpaint) return prompt;
  const { additionalPrompt } = inpaint;
  // Whether the patch is used says nothing about the prompt.
  return planInpaintTask({ prompt, additionalPrompt, refinerSwitch, hasRefiner: false, usesPatch: false })
    .prompt;
}

/** Whether `vae_name` names a file. */
function namesVae(name: string): boolean {
  return !['', 'None', DEFAULT_VAE].includes(name);
}

/** Stored with the job for its later answers. */
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

/** -1 and values out of range mean a random seed. */
export function chooseSeed(seed: bigint): bigint {
  if (seed >= 0n && seed < SEEDS) return seed;
  const [random = 0n] = crypto.getRandomValues(new BigUint64Array(1));
  return random % SEEDS;
}
