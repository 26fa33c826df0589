import * as v from 'valibot';
import { pydantic1 } from '#api/fastapi.ts';
import { defineFields } from '#api/fields.ts';
import { detailOf, honoured, ignored, refused, type ParameterTable } from '#api/parameters.ts';

const f = defineFields(pydantic1);

const text = () => f.optional(f.string(), null);
const flag = () => f.optional(f.boolean(), null);
const float = () => f.optional(f.number(), null);
const anyDictionary = () => f.dictionary(f.json());

/** `POST /sdapi/v1/txt2img`, in the order in which the answer's `parameters` repeats it. */
export const txt2imgBody = f.model({
  prompt: f.optional(f.string(), ''),
  negative_prompt: f.optional(f.string(), ''),
  styles: f.optional(f.list(f.string()), null),
  seed: f.optional(f.bigInteger(), -1n),
  subseed: f.optional(f.bigInteger(), -1n),
  subseed_strength: f.optional(f.number(), 0),
  seed_resize_from_h: f.optional(f.integer(), -1),
  seed_resize_from_w: f.optional(f.integer(), -1),
  sampler_name: text(),
  scheduler: text(),
  batch_size: f.optional(f.integer(), 1),
  n_iter: f.optional(f.integer(), 1),
  steps: f.optional(f.integer(), 50),
  cfg_scale: f.optional(f.number(), 7),
  width: f.optional(f.integer(), 512),
  height: f.optional(f.integer(), 512),
  restore_faces: flag(),
  tiling: flag(),
  do_not_save_samples: f.optional(f.boolean(), false),
  do_not_save_grid: f.optional(f.boolean(), false),
  eta: float(),
  denoising_strength: float(),
  s_min_uncond: float(),
  s_churn: float(),
  s_tmax: float(),
  s_tmin: float(),
  s_noise: float(),
  override_settings: f.optional(anyDictionary(), null),
  override_settings_restore_afterwards: f.optional(f.boolean(), true),
  refiner_checkpoint: text(),
  refiner_switch_at: float(),
  disable_extra_networks: f.optional(f.boolean(), false),
  firstpass_image: text(),
  comments: f.optional(anyDictionary(), null),
  enable_hr: f.optional(f.boolean(), false),
  firstphase_width: f.optional(f.integer(), 0),
  firstphase_height: f.optional(f.integer(), 0),
  hr_scale: f.optional(f.number(), 2),
  hr_upscaler: text(),
  hr_second_pass_steps: f.optional(f.integer(), 0),
  hr_resize_x: f.optional(f.integer(), 0),
  hr_resize_y: f.optional(f.integer(), 0),
  hr_checkpoint_name: text(),
  hr_sampler_name: text(),
  hr_scheduler: text(),
  hr_prompt: f.optional(f.string(), ''),
  hr_negative_prompt: f.optional(f.string(), ''),
  force_task_id: text(),
  sampler_index: f.optional(f.string(), 'Euler'),
  script_name: text(),
  script_args: f.optional(f.list(f.json()), []),
  send_images: f.optional(f.boolean(), true),
  save_images: f.optional(f.boolean(), false),
  alwayson_scripts: f.optional(anyDictionary(), {}),
  infotext: text(),
});

export type Txt2imgBody = v.InferOutput<typeof txt2imgBody>;

const HIRES = 'the hires pass';
const withHires = detailOf('enable_hr', HIRES);
const asksForRefiner = (value: unknown) => typeof value === 'string' && !/^(none)?$/i.test(value);
const savedAnyway = ignored('the original overwrites it from save_images too');

export const txt2imgParameters: ParameterTable = {
  prompt: honoured,
  negative_prompt: honoured,
  styles: honoured,
  seed: honoured,
  subseed: honoured,
  subseed_strength: honoured,
  seed_resize_from_h: honoured,
  seed_resize_from_w: honoured,
  sampler_name: honoured,
  scheduler: honoured,
  batch_size: honoured,
  n_iter: honoured,
  steps: honoured,
  cfg_scale: honoured,
  width: honoured,
  height: honoured,
  restore_faces: refused('face restoration'),
  tiling: honoured,
  do_not_save_samples: savedAnyway,
  do_not_save_grid: savedAnyway,
  eta: honoured,
  denoising_strength: withHires,
  s_min_uncond: honoured,
  s_churn: honoured,
  s_tmax: honoured,
  s_tmin: honoured,
  s_noise: honoured,
  override_settings: honoured,
  override_settings_restore_afterwards: honoured,
  refiner_checkpoint: refused('a refiner model', asksForRefiner),
  refiner_switch_at: detailOf('refiner_checkpoint', 'a refiner model'),
  disable_extra_networks: honoured,
  firstpass_image: withHires,
  comments: ignored('notes of the client'),
  enable_hr: refused(HIRES),
  firstphase_width: withHires,
  firstphase_height: withHires,
  hr_scale: withHires,
  hr_upscaler: withHires,
  hr_second_pass_steps: withHires,
  hr_resize_x: withHires,
  hr_resize_y: withHires,
  hr_checkpoint_name: withHires,
  hr_sampler_name: withHires,
  hr_scheduler: withHires,
  hr_prompt: withHires,
  hr_negative_prompt: withHires,
  force_task_id: honoured,
  sampler_index: honoured,
  script_name: honoured,
  script_args: honoured,
  send_images: honoured,
  save_images: honoured,
  alwayson_scripts: honoured,
  infotext: honoured,
};

const share = () => f.number({ min: 0, max: 1 });

const extrasFields = {
  resize_mode: f.optional(f.oneOf([0, 1]), 0),
  show_extras_results: f.optional(f.boolean(), true),
  gfpgan_visibility: f.optional(share(), 0),
  codeformer_visibility: f.optional(share(), 0),
  codeformer_weight: f.optional(share(), 0),
  upscaling_resize: f.optional(f.number({ above: 0 }), 2),
  upscaling_resize_w: f.optional(f.integer({ min: 1 }), 512),
  upscaling_resize_h: f.optional(f.integer({ min: 1 }), 512),
  upscaling_crop: f.optional(f.boolean(), true),
  upscaler_1: f.optional(f.string(), 'None'),
  upscaler_2: f.optional(f.string(), 'None'),
  extras_upscaler_2_visibility: f.optional(share(), 0),
  upscale_first: f.optional(f.boolean(), false),
};

export type ExtrasBody = v.InferOutput<v.ObjectSchema<typeof extrasFields, undefined>>;

/** `POST /sdapi/v1/extra-single-image`. */
export const extraSingleBody = f.model({ ...extrasFields, image: f.optional(f.string(), '') });

/** `POST /sdapi/v1/extra-batch-images`. */
export const extraBatchBody = f.model({
  ...extrasFields,
  imageList: f.list(f.model({ data: f.string(), name: f.string() })),
});

const FACES = 'face restoration';

const extrasParameters: ParameterTable = {
  resize_mode: honoured,
  show_extras_results: ignored('the original makes nothing of it in requests either'),
  gfpgan_visibility: refused(FACES),
  codeformer_visibility: refused(FACES),
  codeformer_weight: detailOf('codeformer_visibility', FACES),
  upscaling_resize: honoured,
  upscaling_resize_w: honoured,
  upscaling_resize_h: honoured,
  upscaling_crop: honoured,
  upscaler_1: honoured,
  upscaler_2: honoured,
  extras_upscaler_2_visibility: honoured,
  upscale_first: ignored('there is no face restoration it could come before'),
};

export const extraSingleParameters: ParameterTable = { ...extrasParameters, image: honoured };

export const extraBatchParameters: ParameterTable = { ...extrasParameters, imageList: honoured };

export const extraSingleAnswer = v.object({ html_info: v.string(), image: v.nullable(v.string()) });

export const extraBatchAnswer = v.object({ html_info: v.string(), images: v.array(v.string()) });

/** What both image endpoints and interrogate are asked before they say what they lack. */
export const img2imgBody = f.model({ init_images: f.optional(f.list(f.string()), null) });

export const interrogateBody = f.model({
  image: f.optional(f.string(), null),
  model: f.optional(f.string(), 'clip'),
});

export const pngInfoBody = f.model({ image: f.string() });

export const optionsBody = v.record(v.string(), v.unknown(), 'object');

export const progressQuery = f.model({ skip_current_image: f.optional(f.boolean(), false) });

export const taskProgressBody = f.model({
  id_task: f.optional(f.string(), null),
  id_live_preview: f.optional(f.integer(), -1),
  live_preview: f.optional(f.boolean(), true),
});

/** Any JSON object. */
export const anyBody = v.record(v.string(), v.unknown(), 'object');

export const txt2imgAnswer = v.object({
  images: v.array(v.string()),
  parameters: v.record(v.string(), v.unknown()),
  info: v.string(),
});

export const progressAnswer = v.object({
  progress: v.number(),
  eta_relative: v.number(),
  state: v.record(v.string(), v.unknown()),
  current_image: v.nullable(v.string()),
  textinfo: v.nullable(v.string()),
});
