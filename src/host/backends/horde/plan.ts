import type { HordeOptions } from '#protocol/horde-worker.ts';
import { CAPABILITIES } from '#protocol/capabilities.ts';
import { AppError } from '#protocol/error.ts';
import type { Fit, GenerateJob, ImageSpec, Job, Pass, Size } from '#protocol/job.ts';
import { factsOf } from '#protocol/tasks.ts';
import {
  DEFAULT_HORDE_MODEL,
  hordeControl,
  hordeModelOf,
  hordePostProcessor,
  hordeSampler,
} from './names.ts';
import type { HordeLora, HordeParams, HordePayload } from './payload.ts';

/** Sides of the Horde's images: horde/apis/models/stable_v2.py. */
const SIDES = { least: 64, most: 3072, multipleOf: 64 } as const;
/** Steps with a ControlNet; more are cut silently (horde/classes/stable/waiting_prompt.py, `extract_params`). */
const MOST_CONTROL_STEPS = 40;
const MOST_STEPS = 500;
const MOST_IMAGES = 20;
const MOST_SEED_VARIATION = 1000;
const MOST_LORAS = 5;
/** Larger seeds would be shifted right until they fit (`seed_to_int` in horde/classes/stable/waiting_prompt.py), neighbours alike. */
const SEED_BITS = 32;

/** An image to be sent, and how it is brought to the size of the request. */
export interface HordeSource {
  file: Blob;
  fit: Fit | 'cover' | 'contain';
  /** White and black change places. */
  invert?: boolean;
}

/** One request to the Horde: images of the job that differ in nothing but seeds at equal distances. */
export interface HordeRequest {
  /** The position of its first image in the job. */
  first: number;
  images: readonly ImageSpec[];
  /** Without the images it is sent with. */
  payload: HordePayload;
  source?: HordeSource;
  mask?: HordeSource;
}

/** A job as the Horde gets it. */
export interface HordePlan {
  job: GenerateJob;
  requests: readonly HordeRequest[];
  /** Sentences about what the Horde cannot do and leaves out. */
  notes: readonly string[];
}

/** What is found on the way: what cannot be done, and what has no effect. */
class Findings {
  readonly problems = new Set<string>();
  readonly lost = new Set<string>();

  cannot(what: string, when = true): void {
    if (when) this.problems.add(what);
  }

  loses(what: string, when = true): void {
    if (when) this.lost.add(what);
  }
}

/**
 * Turns a job into requests to the AI Horde. Whatever changes what an image shows and has no counterpart there is refused; what
 * is only about how it is made is left out and named in the notes. Noise is the Horde's own: the same seed makes another image.
 *
 * @param civitaiVersions ids of CivitAI's versions by the ids of the LoRAs that came from there
 * @throws AppError `unsupported_feature` that names all the Horde cannot do
 */
export function planHorde(
  job: Job,
  options: HordeOptions,
  civitaiVersions: Readonly<Record<string, string>>,
): HordePlan {
  if (job.task !== 'generate') {
    throw new AppError(
      'unsupported_feature',
      `The AI Horde only generates images. “${factsOf(job).doing}” runs in this tab: choose that instead.`,
    );
  }
  const findings = new Findings();
  const [first, second] = job.passes;
  checkJob(job, findings);
  const { width, height } = (second ?? first).size;
  checkSize({ width, height }, findings);
  const sampler = hordeSampler(first.sampler);
  findings.cannot(`the sampler “${nameOf(first)}”`, !sampler);
  findings.loses(`the schedule “${sampler?.lostSchedule ?? ''}”`, sampler?.lostSchedule !== undefined);
  const isChecked = job.post.some(({ kind }) => kind === 'safety');
  const censors = isChecked || !options.nsfw;
  const post = job.post.flatMap((step) =>
    step.kind === 'safety' || (step.kind === 'upscale' && step.upscaler === 'None')
      ? []
      : [hordePostProcessor(step)],
  );
  for (const step of post) if ('problem' in step) findings.cannot(step.problem);
  const control = readControl(job, findings);
  const model = options.model || (hordeModelOf(first.model) ?? DEFAULT_HORDE_MODEL);

  const shared: Omit<HordeParams, 'n' | 'seed' | 'seed_variation' | 'loras'> = {
    sampler_name: sampler?.name ?? '',
    karras: sampler?.karras ?? false,
    cfg_scale: Math.round(Math.min(Math.max(first.guidanceScale, 0), 100) * 100) / 100,
    steps: first.steps,
    width,
    height,
    clip_skip: Math.min(12, Math.max(1, job.promptOptions.clipSkip)),
    tiling: first.graph?.tiling ?? false,
    ...(job.init.from !== 'noise' && { denoising_strength: strengthOf(first) }),
    ...(control && job.init.from === 'noise' && { denoising_strength: 1 }),
    ...(second && { hires_fix: true, hires_fix_denoising_strength: strengthOf(second) }),
    ...(post.length > 0 && {
      post_processing: post.flatMap((step) => ('name' in step ? [step.name] : [])),
    }),
    ...(control && { control_type: control.type, image_is_control: control.isMap }),
  };

  const requests = inGroups(job).map(({ first: position, images }): HordeRequest => {
    const [image] = images;
    const { text, loras } = takeLoras(job, image?.prompt.join(', ') ?? '', civitaiVersions, findings);
    const negative = image?.negativePrompt.join(', ') ?? '';
    findings.cannot('an empty prompt', text === '');
    return {
      first: position,
      images,
      payload: {
        prompt: negative === '' ? unmarked(text) : `${unmarked(text)} ### ${unmarked(negative)}`,
        params: {
          ...shared,
          n: images.length,
          seed: String(image?.seed ?? 0n),
          ...(images.length > 1 && { seed_variation: Number(distance(images)) }),
          ...(loras.length > 0 && { loras }),
        },
        models: [model],
        nsfw: !censors,
        censor_nsfw: censors,
        trusted_workers: options.trustedWorkers,
        r2: true,
        shared: false,
        ...((control || job.init.from !== 'noise') && {
          source_processing: job.init.from === 'masked' ? 'inpainting' : 'img2img',
        }),
      },
      ...sourcesOf(job, position, control?.image),
    };
  });

  if (findings.problems.size > 0) {
    throw new AppError(
      'unsupported_feature',
      `The AI Horde cannot do this: ${[...findings.problems].join('; ')}. Leave it out, or run the job in this tab.`,
    );
  }
  return { job, requests, notes: notesOf(job, model, findings) };
}

function notesOf(job: GenerateJob, model: string, { lost }: Findings): string[] {
  const { model: checkpoint } = job.passes[0];
  const isSame = checkpoint === model || hordeModelOf(checkpoint) === model;
  return [
    ...(isSame ? [] : [`Generated with the AI Horde’s model “${model}” instead of “${checkpoint}”.`]),
    ...(lost.size > 0 ? [`Had no effect at the AI Horde: ${[...lost].join(', ')}.`] : []),
  ];
}

/** What is about the whole job. */
function checkJob(job: GenerateJob, findings: Findings): void {
  const { passes, noise, init, promptOptions, imagePrompts = [], output } = job;
  const [first, second] = passes;
  findings.cannot('post steps on images that are not generated', job.skipPasses === true);
  findings.cannot('more than two passes', passes.length > 2);
  findings.cannot('hires fix of an init image', second !== undefined && init.from !== 'noise');
  findings.cannot(
    CAPABILITIES.refiner.title,
    passes.some(({ refiner }) => refiner !== undefined),
  );
  findings.cannot(
    CAPABILITIES.vae.title,
    passes.some(({ vae }) => vae !== undefined),
  );
  findings.cannot(
    CAPABILITIES['self-attention'].title,
    passes.some(({ selfAttentionGuidance }) => (selfAttentionGuidance?.scale ?? 0) > 0),
  );
  findings.cannot(
    CAPABILITIES.panorama.title,
    passes.some(({ panorama }) => panorama !== undefined),
  );
  findings.cannot(
    'prompts of single passes',
    passes.some(({ prompts }) => prompts !== undefined),
  );
  findings.cannot(
    'FreeU',
    passes.some(({ graph }) => graph?.freeU !== undefined),
  );
  findings.cannot(CAPABILITIES['image-prompt'].title, imagePrompts.length > 0);
  findings.cannot(
    CAPABILITIES['prompt-expansion'].title,
    job.images.some(({ expansion }) => expansion !== undefined),
  );
  findings.cannot(CAPABILITIES.embedding.title, (promptOptions.embeddings ?? []).length > 0);
  findings.cannot('variation seeds', noise.subseedStrength > 0);
  findings.cannot('seeds resized from another size', noise.resizeFrom !== undefined);
  findings.cannot(`more than ${String(MOST_STEPS)} steps`, first.steps > MOST_STEPS);
  findings.cannot(
    `more than ${String(MOST_CONTROL_STEPS)} steps with a ControlNet`,
    (job.controls ?? []).length > 0 && first.steps > MOST_CONTROL_STEPS,
  );
  findings.cannot('no step at all', first.steps < 1);

  findings.loses(
    'the bits of seeds beyond 32',
    job.images.some(({ seed }) => seed !== BigInt.asUintN(SEED_BITS, seed)),
  );
  findings.loses('options of the sampler', hasOptions(first));
  findings.loses('the seed delta of the sampler’s noise', noise.etaNoiseSeedDelta !== 0);
  findings.loses('extra noise', (noise.extra ?? 0) !== 0 || (noise.initialMultiplier ?? 1) !== 1);
  findings.loses(
    'token merging',
    passes.some(({ graph }) => (graph?.tokenMerging ?? 0) > 0),
  );
  findings.loses(
    'DeepCache',
    passes.some(({ graph }) => graph?.deepCache !== undefined),
  );
  findings.loses(
    'the size conditioning of SDXL',
    passes.some(({ sizeConditioning }) => !!sizeConditioning),
  );
  findings.loses(
    'denoising in tiles',
    passes.some(({ tiles }) => !!tiles),
  );
  findings.loses(
    'Fooocus’ sharpness, adaptive CFG and ADM guidance',
    passes.some(({ fooocusGuidance }) => !!fooocusGuidance),
  );
  findings.loses('masks of the result', (output.masks ?? []).length > 0);
  findings.loses('clip skip beyond 12', promptOptions.clipSkip > 12);
  for (const step of job.post) {
    // The Horde's workers have a filter of their own, which makes unsafe images black.
    findings.loses('the safety checker, in place of which workers censor', step.kind === 'safety');
    if (step.kind !== 'restore-faces') continue;
    findings.loses('the visibility of restored faces', step.visibility !== 1);
    findings.loses('the weight of face restoration', step.weight !== undefined);
  }
  if (second) {
    findings.loses('the size of the first pass');
    findings.loses('the steps of the second pass', second.steps !== first.steps);
    findings.loses(
      'the upscaler of hires fix',
      second.resizeBy !== undefined && second.resizeBy !== 'Latent',
    );
    findings.loses('the checkpoint of the second pass', second.model !== first.model);
  }
  if (init.from === 'noise') return;
  findings.loses('resizing in the latent space', init.fit === 'latent');
  findings.loses('the upscaler of the init image', init.resizeBy !== undefined);
  findings.loses('color correction', init.colorCorrection === true);
  if (init.from !== 'masked') return;
  const { mask, expand, area, soft, patch } = init;
  findings.cannot(
    'outpainting',
    mask.kind === 'none' || Object.values(expand ?? {}).some((side) => side > 0),
  );
  findings.loses('soft inpainting', soft !== undefined);
  findings.loses('the inpaint patch', patch !== undefined);
  findings.loses('the blur of the mask', init.blur.x > 0 || init.blur.y > 0);
  findings.loses('the fill of the masked area', init.fill !== 'original');
  findings.loses('inpainting only the masked area', area !== 'whole');
  if (mask.kind !== 'image') return;
  findings.loses('growing the mask', (mask.erodeOrDilate ?? 0) !== 0);
  findings.loses('a second mask for the latents', mask.latentMask !== undefined || mask.latentOnly === true);
}

function checkSize({ width, height }: Size, findings: Findings): void {
  const isSide = (side: number) => side % SIDES.multipleOf === 0 && side >= SIDES.least && side <= SIDES.most;
  const nearest = (side: number) =>
    String(
      Math.min(SIDES.most, Math.max(SIDES.least, Math.round(side / SIDES.multipleOf) * SIDES.multipleOf)),
    );
  findings.cannot(
    `${String(width)}×${String(height)}, because its sides are multiples of ${String(SIDES.multipleOf)} up to ${String(SIDES.most)} (nearest: ${nearest(width)}×${nearest(height)})`,
    !isSide(width) || !isSide(height),
  );
}

function nameOf({ sampler }: Pass): string {
  return sampler.family === 'diffusers' ? sampler.scheduler : sampler.sampler;
}

/** Whether a request changes more of a sampler than its name and schedule. */
function hasOptions({ sampler }: Pass): boolean {
  if (sampler.family === 'diffusers') return (sampler.eta ?? 0) !== 0;
  const { sChurn, sMinUncond, skipEarlyCond, sigmaMin, sigmaMax, rho, extraNoise, noiseSchedule } =
    sampler.options;
  const amounts = [sChurn, sMinUncond, skipEarlyCond, sigmaMin, sigmaMax, rho, extraNoise];
  return amounts.some((amount) => (amount ?? 0) !== 0) || noiseSchedule === 'zero_terminal_snr';
}

/** The Horde takes no strength below 0.01. */
function strengthOf({ strength }: Pass): number {
  return Math.min(1, Math.max(0.01, strength));
}

/** The one ControlNet a request can have. Its image travels in the place of the init image. */
function readControl(job: GenerateJob, findings: Findings) {
  const [spec, ...others] = job.controls ?? [];
  if (!spec) return undefined;
  const { id, image, preprocessor, fit } = spec;
  const control = hordeControl(id, preprocessor);
  findings.cannot('several ControlNets', others.length > 0);
  findings.cannot(`the ControlNet “${id}” with this preprocessor`, !control);
  findings.cannot('a ControlNet with inpainting', job.init.from === 'masked');
  findings.cannot(
    'a ControlNet image besides an init image',
    job.init.from === 'image' && image !== undefined,
  );
  findings.loses('the weight of the ControlNet', spec.strength !== 1 || (spec.softness ?? 0) !== 0);
  findings.loses('the steps of the ControlNet', spec.start > 0 || spec.end < 1);
  findings.loses('the control mode', spec.balance !== 'even');
  findings.loses('the passes of the ControlNet', spec.passes !== undefined);
  findings.loses('the region and layer weights of the ControlNet', !!(spec.region ?? spec.layerWeights));
  return control && { ...control, ...(image && { image: { file: image, fit } }) };
}

function sourcesOf(
  { init }: GenerateJob,
  position: number,
  control: HordeSource | undefined,
): Pick<HordeRequest, 'source' | 'mask'> {
  if (init.from === 'noise') return control ? { source: control } : {};
  const file = init.images[position] ?? init.images[0];
  if (!file) return {};
  const { fit } = init;
  if (init.from === 'image' || init.mask.kind !== 'image') return { source: { file, fit } };
  const { mask, invert } = init.mask;
  return { source: { file, fit }, mask: { file: mask, fit, invert } };
}

/** Neighbours that differ in nothing but seeds at equal distances make one request. */
function inGroups({ images: asked, init }: GenerateJob): { first: number; images: readonly ImageSpec[] }[] {
  const groups: { first: number; images: ImageSpec[] }[] = [];
  const hasOwnSource = init.from !== 'noise' && init.images.length > 1;
  const images = asked.map((image) => ({ ...image, seed: BigInt.asUintN(SEED_BITS, image.seed) }));
  for (const [index, image] of images.entries()) {
    const group = groups.at(-1);
    if (group && !hasOwnSource && belongs(group.images, image)) group.images.push(image);
    else groups.push({ first: index, images: [image] });
  }
  return groups;
}

function belongs(images: readonly ImageSpec[], next: ImageSpec): boolean {
  const last = images.at(-1);
  if (!last || images.length >= MOST_IMAGES) return false;
  const step = next.seed - last.seed;
  return (
    step >= 1n &&
    step <= MOST_SEED_VARIATION &&
    (images.length === 1 || step === distance(images)) &&
    isSameText(last.prompt, next.prompt) &&
    isSameText(last.negativePrompt, next.negativePrompt)
  );
}

function distance([first, second]: readonly ImageSpec[]): bigint {
  return first && second ? second.seed - first.seed : 1n;
}

function isSameText(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((text, index) => text === b[index]);
}

/** `###` separates the negative prompt. */
function unmarked(text: string): string {
  return text.replace(/#{3,}/g, '##');
}

/** A1111's tag of a LoRA, with one strength or one for each network. */
const LORA_TAG = /<(?:lora|lyco):([^:<>]+)(?::([^:<>]+))?(?::([^:<>]+))?>/g;

/** The LoRAs of a prompt and of the job, and the prompt without their tags. The Horde takes what CivitAI has. */
function takeLoras(
  { loras = [], promptOptions }: GenerateJob,
  prompt: string,
  civitaiVersions: Readonly<Record<string, string>>,
  findings: Findings,
): { text: string; loras: readonly HordeLora[] } {
  const found: HordeLora[] = [];
  const add = (id: string, model: number, clip: number): void => {
    const name = civitaiVersions[id.trim()];
    findings.cannot(`the LoRA “${id}”, because it was not imported from CivitAI`, name === undefined);
    const isKnown = found.some((other) => other.name === name);
    if (name !== undefined && !isKnown) found.push({ name, is_version: true, model, clip });
  };
  for (const { id, strength } of loras) add(id, strength, strength);
  const hasTags = promptOptions.syntax !== 'plain';
  const text = hasTags
    ? prompt.replace(LORA_TAG, (_tag, id: string, first: string | undefined, second: string | undefined) => {
        const [clip, model] = [Number(first ?? 1), Number(second ?? first ?? 1)];
        if (Number.isFinite(clip) && Number.isFinite(model)) add(id, model, clip);
        else findings.cannot(`the LoRA “${id}” with this strength`);
        return '';
      })
    : prompt;
  findings.cannot(`more than ${String(MOST_LORAS)} LoRAs`, found.length > MOST_LORAS);
  return { text: text.trim(), loras: found };
}
