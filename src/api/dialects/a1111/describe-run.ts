import { nameOfRestorer } from '#api/face-restoration.ts';
import { fileName, shortHash } from '#api/models.ts';
import { stringifyJson } from '#codecs/json.ts';
import type { ImageSpec, JobRecord } from '#protocol/job.ts';
import type { Plan } from './map.ts';

/** What the original calls itself in `info` and `sysinfo`. */
export const VERSION = 'v1.10.1';

/** `20260131235959`, by the local clock. */
export function timestamp(milliseconds: number): string {
  const date = new Date(milliseconds);
  const parts = [date.getMonth() + 1, date.getDate(), date.getHours(), date.getMinutes(), date.getSeconds()];
  return [date.getFullYear(), ...parts.map((part) => String(part).padStart(2, '0'))].join('');
}

/** What is said of images besides what their run has in common. */
export interface Described {
  /** What is each image's own. */
  specs: readonly ImageSpec[];
  /** Of all images of the answer, grids included. */
  infotexts: readonly string[];
  /** How many grids are in front of the images. */
  firstImage: number;
}

/** The answer's `info`: JSON in a string, with exactly the keys of the original's `Processed`. */
export function describeRun(
  { body, options, model, vae, resolved, size, denoisingStrength, extra, restorer, job }: Plan,
  record: JobRecord,
  { specs, infotexts, firstImage }: Described,
): string {
  const [first] = specs;
  return stringifyJson({
    prompt: first?.prompt[0] ?? '',
    all_prompts: specs.map((spec) => spec.prompt[0]),
    negative_prompt: first?.negativePrompt[0] ?? '',
    all_negative_prompts: specs.map((spec) => spec.negativePrompt[0]),
    seed: first?.seed ?? -1,
    all_seeds: specs.map((spec) => spec.seed),
    subseed: first?.subseed ?? -1,
    all_subseeds: specs.map((spec) => spec.subseed),
    subseed_strength: body.subseed_strength,
    width: size.width,
    height: size.height,
    sampler_name: resolved.sampler.name,
    cfg_scale: body.cfg_scale,
    steps: body.steps,
    batch_size: job.batchSize,
    restore_faces: restorer !== null,
    face_restoration_model: restorer && nameOfRestorer(restorer),
    sd_model_name: model.pack.id,
    sd_model_hash: shortHash(model),
    sd_vae_name: vae && fileName(vae),
    sd_vae_hash: vae && shortHash(vae),
    seed_resize_from_w: body.seed_resize_from_w,
    seed_resize_from_h: body.seed_resize_from_h,
    denoising_strength: body.denoising_strength ?? denoisingStrength,
    extra_generation_params: {
      ...(denoisingStrength !== null && { 'Denoising strength': denoisingStrength }),
      ...Object.fromEntries(extra),
    },
    index_of_first_image: firstImage,
    infotexts,
    styles: body.styles ?? [],
    job_timestamp: timestamp(record.startedAt ?? record.queuedAt),
    clip_skip: options.CLIP_stop_at_last_layers,
    is_using_inpainting_conditioning: false,
    version: VERSION,
  });
}
