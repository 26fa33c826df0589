import { findAddOn, findModel, selectedModel } from '#api/models.ts';
import type { GenerationKind } from '#api/dialects/a1111/generation.ts';
import type { GenerationBody } from '#api/dialects/a1111/generation-rows.ts';
import { IMG2IMG } from '#api/dialects/a1111/img2img.ts';
import { effectiveOptions } from '#api/dialects/a1111/options.ts';
import { TXT2IMG } from '#api/dialects/a1111/txt2img.ts';
import { AppError } from '#protocol/error.ts';
import type { GenerateJob } from '#protocol/job.ts';
import { usableAddOns, type AddOnInfo, type ModelInfo } from '#protocol/model.ts';
import { parse } from 'valibot';
import type { Img2imgBody, Txt2imgBody, UpscaleBody } from './schema.ts';

/** What the gateway passes on; anything else becomes the first. */
const SAMPLER_NAMES = ['DPM++ SDE Karras', 'Euler a', 'Euler', 'DPM++ SDE', 'LMS', 'DDIM'] as const;

/** The sampler that runs for a name. */
export function samplerFor(name: string): string {
  return SAMPLER_NAMES.find((known) => known === name) ?? SAMPLER_NAMES[0];
}

/** What is installed here. */
export interface Installed {
  models: readonly ModelInfo[];
  addOns: readonly AddOnInfo[];
}

/** What a request is translated into, and the parameters that have no effect. */
export interface Planned {
  job: GenerateJob;
  ignored: string[];
}

/**
 * The job of a request for text-to-image: the gateway's translation into a request to A1111, which generates all its images.
 * @throws AppError in the gateway's words
 */
export async function planTxt2img(body: Txt2imgBody, installed: Installed): Promise<Planned> {
  const upscaler = body.upscale && chooseUpscaler(body.upscale, installed.addOns);
  const job = await planAsA1111(TXT2IMG, body, installed, {
    ...(body.upscale && {
      enable_hr: true,
      hr_scale: body.upscale.scale,
      hr_upscaler: upscaler ?? LATENT,
      denoising_strength: body.upscale.denoising_strength,
    }),
  });
  return { job, ignored: upscaler === null && body.upscale ? ['upscale.upscaler'] : [] };
}

/** The job of a request for image-to-image. @throws AppError in the gateway's words */
export async function planImg2img(body: Img2imgBody, image: Blob, installed: Installed): Promise<Planned> {
  const start = { init_images: [body.init_image], denoising_strength: body.denoising_strength };
  return { job: await planAsA1111(IMG2IMG, body, installed, start, image), ignored: [] };
}

async function planAsA1111<Body extends GenerationBody>(
  kind: GenerationKind<Body>,
  body: Omit<Txt2imgBody, 'upscale'>,
  installed: Installed,
  more: object,
  image: Blob = new Blob(),
): Promise<GenerateJob> {
  const { pack } = chooseModel(body.model, installed.models);
  const request = {
    prompt: body.prompt + writeLoras(body.loras, installed.addOns),
    negative_prompt: body.negative_prompt,
    seed: body.seed,
    sampler_name: samplerFor(body.sampler_name),
    steps: Math.trunc(body.steps),
    cfg_scale: body.cfg_scale,
    width: Math.trunc(body.width),
    height: Math.trunc(body.height),
    ...more,
  };
  const { job } = await kind.plan({
    body: parse(kind.parameters.schema, request),
    options: effectiveOptions({}, { sd_model_checkpoint: pack.id }),
    overrides: {},
    installed,
    soft: null,
    detailer: null,
    unitsFor: () => Promise.resolve([]),
    read: () => Promise.resolve(image),
  });
  return job;
}

function chooseModel(name: unknown, models: readonly ModelInfo[]): ModelInfo {
  const model =
    name === undefined || name === null
      ? selectedModel(models)
      : typeof name === 'string'
        ? findModel(models, name)
        : undefined;
  // Its status is that of every wrong field here.
  if (!model) throw new AppError('model_not_found', 'Invalid model', { detail: { status: 400 } });
  return model;
}

/** The gateway's first upscaler, and what it takes every other name for. */
const LATENT = 'Latent';
const NETWORK = 'ESRGAN 4x';

/** The upscaler of a second pass; null if it is a network and none is installed. */
function chooseUpscaler({ upscaler }: UpscaleBody, addOns: readonly AddOnInfo[]): string | null {
  if (upscaler !== NETWORK) return LATENT;
  const named = findAddOn(addOns, 'upscaler', NETWORK) ?? findAddOn(addOns, 'upscaler', 'ESRGAN_4x');
  return (named ?? usableAddOns(addOns, 'upscaler')[0])?.pack.id ?? null;
}

/** What the gateway appends to the prompt for a request's `loras`, pairs of a name and a weight. */
function writeLoras(loras: unknown, addOns: readonly AddOnInfo[]): string {
  if (loras === undefined || loras === null) return '';
  const tags = (Array.isArray(loras) ? (loras as unknown[]) : [loras]).map((entry) => {
    const [name, weight] = Array.isArray(entry) ? (entry as unknown[]) : [];
    const lora = typeof name === 'string' ? findAddOn(addOns, 'lora', name) : undefined;
    if (!lora || typeof weight !== 'number') throw new AppError('invalid_request', 'Invalid lora param');
    return `,<lora:${lora.pack.id}:${weight}>`;
  });
  return tags.join('');
}
