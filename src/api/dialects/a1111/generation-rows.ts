import { honoured, noEffect, param, partOf, type Param } from '#api/parameters.ts';
import { f } from './fields.ts';

const savedAnyway = noEffect('save_images decides, in the original too');
const ofHires = partOf('enable_hr');

/** What both routes take, in the order in which the answer's `parameters` repeats it: what comes first. */
export const leadingRows = {
  prompt: param(f.string(), '', honoured, 'What to generate'),
  negative_prompt: param(f.string(), '', honoured, 'What to avoid'),
  styles: param(f.list(f.string()), null, honoured, 'Names of styles to apply'),
  seed: param(f.bigInteger(), -1n, honoured, 'Seed of the first image; -1 is random'),
  subseed: param(f.bigInteger(), -1n, honoured, 'Variation seed; -1 is random'),
  subseed_strength: param(f.number(), 0, honoured, 'Variation strength, 0 to 1'),
  seed_resize_from_h: param(f.integer(), -1, honoured, 'Height at which the noise is generated'),
  seed_resize_from_w: param(f.integer(), -1, honoured, 'Width at which the noise is generated'),
  sampler_name: param(f.string(), null, honoured, 'Sampler'),
  scheduler: param(f.string(), null, honoured, "Schedule; one in the sampler's name takes precedence"),
  batch_size: param(f.integer(), 1, honoured, 'Images per batch'),
  n_iter: param(f.integer(), 1, honoured, 'Batches'),
  steps: param(f.integer(), 50, honoured, 'Sampling steps'),
  cfg_scale: param(f.number(), 7, honoured, 'CFG scale'),
  width: param(f.integer(), 512, honoured, 'Width in pixels'),
  height: param(f.integer(), 512, honoured, 'Height in pixels'),
  restore_faces: param(f.boolean(), null, honoured, 'Restore faces'),
  tiling: param(f.boolean(), null, honoured, 'Seamless, tileable images'),
  do_not_save_samples: param(f.boolean(), false, savedAnyway, 'Save no images on the server'),
  do_not_save_grid: param(f.boolean(), false, savedAnyway, 'Save no grid on the server'),
  eta: param(f.number(), null, honoured, 'Noise multiplier of ancestral samplers'),
  denoising_strength: param(f.number(), null, ofHires, 'Denoising strength of the second pass'),
  s_min_uncond: param(
    f.number(),
    null,
    honoured,
    'Sigma below which the negative prompt is skipped at times',
  ),
  s_churn: param(f.number(), null, honoured, 'Sigma churn'),
  s_tmax: param(f.number(), null, honoured, 'Sigma tmax'),
  s_tmin: param(f.number(), null, honoured, 'Sigma tmin'),
  s_noise: param(f.number(), null, honoured, 'Sigma noise'),
  override_settings: param(f.dictionary(f.json()), null, honoured, 'Options for this request'),
  override_settings_restore_afterwards: param(f.boolean(), true, honoured, 'Restore the options afterwards'),
  refiner_checkpoint: param(f.string(), null, honoured, 'Checkpoint that takes over the denoising'),
  refiner_switch_at: param(
    f.number(),
    null,
    partOf('refiner_checkpoint'),
    'Fraction of the steps at which it takes over, 0 to 1',
  ),
  disable_extra_networks: param(f.boolean(), false, honoured, 'Ignore LoRAs'),
  firstpass_image: param(f.string(), null, ofHires, 'Image to use instead of the first pass'),
  comments: param(f.dictionary(f.json()), null, noEffect("the client's own notes"), 'Notes'),
};

const taskId = param(f.string(), null, honoured, 'Name of the job for /internal/progress');
const legacySampler = param(f.string(), 'Euler', honoured, 'Sampler where sampler_name is not sent');

/** What follows the fields of the route's own. */
export const namingRows = { force_task_id: taskId, sampler_index: legacySampler };

/** What comes last. */
export const trailingRows = {
  script_name: param(f.string(), null, honoured, 'Script to run'),
  script_args: param(f.list(f.json()), [], honoured, 'Arguments of the script'),
  send_images: param(f.boolean(), true, honoured, 'Images in the answer'),
  save_images: param(f.boolean(), false, honoured, 'A grid as the first image, if the options say so'),
  alwayson_scripts: param(f.dictionary(f.json()), {}, honoured, 'Arguments of always-on scripts'),
  infotext: param(f.string(), null, honoured, 'Infotext for parameters that are not sent'),
};

type CommonRows = typeof leadingRows & typeof namingRows & typeof trailingRows;

/** What the bodies of both routes have. */
export type GenerationBody = {
  [Name in keyof CommonRows]: CommonRows[Name] extends Param<infer Value> ? Value : never;
};
