import { findModel, selectedModel } from '#api/models.ts';
import { planJob } from '#api/dialects/a1111/map.ts';
import { effectiveOptions } from '#api/dialects/a1111/options.ts';
import { txt2imgBody as a1111Body } from '#api/dialects/a1111/schema.ts';
import { AppError } from '#protocol/error.ts';
import type { TextToImageJob } from '#protocol/job.ts';
import type { ModelInfo } from '#protocol/model.ts';
import { parse } from 'valibot';
import type { Txt2imgBody } from './schema.ts';

/** What the gateway passes on; anything else becomes the first. */
const SAMPLER_NAMES = ['DPM++ SDE Karras', 'Euler a', 'Euler', 'DPM++ SDE', 'LMS', 'DDIM'] as const;

/** The sampler that runs for a name. */
export function samplerFor(name: string): string {
  return SAMPLER_NAMES.find((known) => known === name) ?? SAMPLER_NAMES[0];
}

/**
 * The job a request asks for: the gateway's translation into a request to A1111, which has drawn all its pictures.
 * @throws AppError in the gateway's words
 */
export function toJob(body: Txt2imgBody, models: readonly ModelInfo[]): TextToImageJob {
  refuseLoras(body.loras);
  const request = parse(a1111Body, {
    prompt: body.prompt,
    negative_prompt: body.negative_prompt,
    seed: body.seed,
    sampler_name: samplerFor(body.sampler_name),
    steps: Math.trunc(body.steps),
    cfg_scale: body.cfg_scale,
    width: Math.trunc(body.width),
    height: Math.trunc(body.height),
  });
  const options = effectiveOptions({}, { sd_model_checkpoint: chooseModel(body.model, models).pack.id });
  return planJob(request, options, models).job;
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

/** There are no LoRA files, so that each name is as unknown as the gateway's check finds it. */
function refuseLoras(loras: unknown): void {
  if (loras === undefined || loras === null || (Array.isArray(loras) && loras.length === 0)) return;
  throw new AppError('invalid_request', 'Invalid lora param');
}
