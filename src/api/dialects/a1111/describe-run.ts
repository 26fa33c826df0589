import { fileName, shortHash } from '#api/models.ts';
import { stringifyJson } from '#codecs/json.ts';
import type { GeneratedImage, JobRecord } from '#protocol/job.ts';
import type { Plan } from './map.ts';

/** What the original calls itself in `info` and `sysinfo`. */
export const VERSION = 'v1.10.1';

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
