import { findAddOn, findModel, selectedModel } from '#api/models.ts';
import { planJob } from '#api/dialects/a1111/map.ts';
import { effectiveOptions } from '#api/dialects/a1111/options.ts';
import { txt2imgBody as a1111Body } from '#api/dialects/a1111/txt2img-body.ts';
import { AppError } from '#protocol/error.ts';
import type { GenerateJob } from '#protocol/job.ts';
import type { AddOnInfo, ModelInfo } from '#protocol/model.ts';
import { parse } from 'valibot';
import type { Txt2imgBody } from './schema.ts';

/** What the gateway passes on; anything else becomes the first. */
const SAMPLER_NAMES = ['DPM++ SDE Karras', 'Euler a', 'Euler', 'DPM++ SDE', 'LMS', 'DDIM'] as const;

/** The sampler that runs for a name. */
export function samplerFor(name: string): string {
  return SAMPLER_NAMES.find((known) => known === name) ?? SAMPLER_NAMES[0];
}

/**
 * The job a request asks for: the gateway's translation into a request to A1111, which generates all its images.
 * @throws AppError in the gateway's words
 */
export function toJob(
  body: Txt2imgBody,
  models: readonly ModelInfo[],
  addOns: readonly AddOnInfo[],
): GenerateJob {
  const request = parse(a1111Body.schema, {
    prompt: body.prompt + writeLoras(body.loras, addOns),
    negative_prompt: body.negative_prompt,
    seed: body.seed,
    sampler_name: samplerFor(body.sampler_name),
    steps: Math.trunc(body.steps),
    cfg_scale: body.cfg_scale,
    width: Math.trunc(body.width),
    height: Math.trunc(body.height),
  });
  const options = effectiveOptions({}, { sd_model_checkpoint: chooseModel(body.model, models).pack.id });
  return planJob(request, options, models, addOns).job;
}

function chooseModel(name: unknown, models: readonly ModelInfo[]): ModelInfo {
  const model =
    name === undefined || name === null
      ? selectedModel(models)
      : typeof name === 'string'
        ? findModel(models, name)
        : undefined;
  if (!model) throw new AppError('invalid_request', 'Invalid model');
  return model;
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
