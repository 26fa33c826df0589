import { pythonFloat, type InfotextPair } from '#codecs/infotext.ts';
import { hiresSizes, type HiresSizes } from '#imaging/a1111/hires-size.ts';
import { LATENT_UPSCALE_MODES, type Pass, type PromptOverride, type Size } from '#protocol/job.ts';
import type { AddOnInfo, ModelInfo } from '#protocol/model.ts';
import { namedCheckpoint, shortTitle, type Installed } from './checkpoints.ts';
import { httpException, pythonException } from './errors.ts';
import { graphOptions, mergingRatio } from './graph-options.ts';
import type { Options } from './options.ts';
import type { FirstPass, SecondPass } from './map.ts';
import { readPrompts } from './prompt.ts';
import { resolveSampler, type ResolvedSampler } from './samplers.ts';
import { samplerChoice } from './sampling.ts';
import type { Txt2imgBody } from './txt2img-body.ts';
import { findUpscaler } from './upscalers.ts';

/** Pixels on a side of a latent cell. */
const CELL = 8;

/** The strength of a request that has none; the original fails there. */
const USUAL_STRENGTH = 0.75;

/** What the lists of the original's page offer for "none of its own". */
const SAME = /^use same (checkpoint|sampler|scheduler)$/i;

/** The sizes of both passes of hires fix. */
export function sizesOfHires(body: Txt2imgBody, options: Options): HiresSizes {
  return hiresSizes({
    size: { width: body.width, height: body.height },
    scale: body.hr_scale,
    resize: { width: body.hr_resize_x, height: body.hr_resize_y },
    firstPass: { width: body.firstphase_width, height: body.firstphase_height },
    oldBehaviour: options.use_old_hires_fix_width_height,
  });
}

/** Pixels of the second pass's images: the upscaled latents after cropping. */
function finalSize({ upscaleTo, truncate }: HiresSizes): Size {
  const side = (name: keyof Size) => (Math.floor(upscaleTo[name] / CELL) - truncate[name]) * CELL;
  return { width: side('width'), height: side('height') };
}

/** What the second pass follows from. */
interface HiresRequest {
  body: Txt2imgBody;
  options: Options;
  installed: Installed;
  sizes: HiresSizes;
}

/**
 * The second pass of hires fix (A1111 modules/processing.py, `StableDiffusionProcessingTxt2Img`): as many steps as asked
 * for, whatever the strength.
 * @throws AppError as the original for upscalers and checkpoints that are not there
 */
export function planHires({ body, options, installed, sizes }: HiresRequest, first: FirstPass): SecondPass {
  const name = named(body.hr_checkpoint_name);
  const checkpoint = name === null ? first.model : namedCheckpoint(name, installed.models);
  const resolved = resolveSampler(
    named(body.hr_sampler_name) ?? first.resolved.sampler.name,
    named(body.hr_scheduler) ?? first.resolved.asked.label,
  );
  const steps = body.hr_second_pass_steps || body.steps;
  if (steps < 1) throw httpException(422, 'hr_second_pass_steps must be at least 0');
  const merging = mergingRatio(options.token_merging_ratio_hr, options.token_merging_ratio);
  const prompts = promptsOf(body, first);
  const size = finalSize(sizes);
  const { upscaleTo } = sizes;
  const { vae } = first.pass;
  const pass: Pass = {
    model: checkpoint.pack.id,
    ...(vae !== undefined && { vae }),
    size,
    ...((size.width !== upscaleTo.width || size.height !== upscaleTo.height) && { resizeTo: upscaleTo }),
    ...resizerOf(body.hr_upscaler, installed.addOns),
    steps,
    strength: strengthOf(body.denoising_strength),
    exactSteps: true,
    sampler: samplerChoice(body, options, resolved),
    guidanceScale: body.cfg_scale,
    ...(prompts && { prompts: first.images.map(() => prompts) }),
    ...graphOptions(body.tiling, merging, options, checkpoint),
  };
  return {
    pass,
    pairs: [
      ...pairsOf(body, first, checkpoint, resolved, prompts),
      ...sizePair(body, options),
      ...endPairs(body, options),
    ],
    unknown: resolved.unknown.map((name) => `hr_${name}`),
  };
}

/** @throws AppError for a strength below 0; the original takes more than 1 for 1 */
export function strengthOf(strength: number | null): number {
  if (strength !== null && strength < 0)
    throw httpException(422, 'denoising_strength must be between 0 and 1');
  return Math.min(strength ?? USUAL_STRENGTH, 1);
}

function named(name: string | null): string | null {
  return name === null || name === '' || SAME.test(name) ? null : name;
}

/** The second pass's own prompts; null where they are the first's. */
function promptsOf(body: Txt2imgBody, { images, reading }: FirstPass): PromptOverride | null {
  const own = readPrompts(
    {
      prompt: body.hr_prompt || body.prompt,
      negativePrompt: body.hr_negative_prompt || body.negative_prompt,
      styles: body.styles,
    },
    reading,
  );
  const [image] = images;
  const isSame = own.prompt[0] === image?.prompt[0] && own.negativePrompt[0] === image?.negativePrompt[0];
  return isSame ? null : own;
}

/** `None` is plain Lanczos, as where nothing is said to a pass. */
function resizerOf(name: string | null, addOns: readonly AddOnInfo[]): Pick<Pass, 'resizeBy'> {
  // Some clients write a comma into the one that has two adjectives.
  const mode = LATENT_UPSCALE_MODES.find((known) => known === (name ?? 'Latent').replace(', ', ' '));
  const found = mode ?? findUpscaler(name ?? '', addOns);
  if (found !== undefined) return found === 'None' ? {} : { resizeBy: found };
  throw pythonException('Exception', `could not find upscaler named ${name ?? ''}`);
}

function pairsOf(
  body: Txt2imgBody,
  { resolved: first, images: [image] }: FirstPass,
  checkpoint: ModelInfo,
  resolved: ResolvedSampler,
  prompts: PromptOverride | null,
): InfotextPair[] {
  const pairs: (readonly [key: string, value: string | null])[] = [
    ['Hires checkpoint', named(body.hr_checkpoint_name) === null ? null : shortTitle(checkpoint)],
    ['Hires sampler', other(resolved.sampler.name, first.sampler.name)],
    ['Hires prompt', other(prompts?.prompt[0], image?.prompt[0])],
    ['Hires negative prompt', other(prompts?.negativePrompt[0], image?.negativePrompt[0])],
    ['Hires schedule type', other(resolved.schedule.label, first.schedule.label)],
  ];
  return pairs.filter((pair): pair is InfotextPair => pair[1] !== null);
}

function other(own: string | undefined, first: string | undefined): string | null {
  return own === undefined || own === first ? null : own;
}

function sizePair(
  { hr_scale: scale, hr_resize_x: x, hr_resize_y: y, width, height }: Txt2imgBody,
  { use_old_hires_fix_width_height: isOld }: Options,
): InfotextPair[] {
  if (isOld) return [['Hires resize', `${width}x${height}`]];
  return x === 0 && y === 0 ? [['Hires upscale', pythonFloat(scale)]] : [['Hires resize', `${x}x${y}`]];
}

function endPairs(
  { hr_second_pass_steps: steps, hr_upscaler: upscaler }: Txt2imgBody,
  { token_merging_ratio_hr: merging }: Options,
): InfotextPair[] {
  return [
    ...(steps === 0 ? [] : ([['Hires steps', String(steps)]] as const)),
    ...(upscaler === null ? [] : ([['Hires upscaler', upscaler]] as const)),
    ...(merging > 0 ? ([['Token merging ratio hr', pythonFloat(mergingRatio(merging))]] as const) : []),
  ];
}
