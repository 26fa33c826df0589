import { pythonFloat, type InfotextPair } from '#codecs/infotext.ts';
import type { DetailerBody, DetailerUnit } from './adetailer-unit.ts';

/** The release whose fields these are. */
const VERSION = '25.3.0';

/** Fields with plain values. */
type PlainField = Exclude<keyof DetailerBody, 'is_api'>;

/** What an infotext says of a field: its name after `ADetailer`, and whether the field is there to be said. */
type Entry = readonly [
  field: PlainField,
  label: string,
  kind: 'text' | 'whole' | 'float' | 'flag',
  isSaid: (unit: DetailerBody) => boolean,
];

const always = () => true;
const differs =
  (field: keyof DetailerBody, from: unknown, where: (unit: DetailerBody) => boolean = always) =>
  (unit: DetailerBody) =>
    unit[field] !== from && where(unit);
const usesControl = differs('ad_controlnet_model', 'None');

/** In the order of the original: adetailer/args.py, `_all_args` and `extra_params`. */
const ENTRIES: readonly Entry[] = [
  ['ad_model', 'model', 'text', always],
  ['ad_model_classes', 'model classes', 'text', differs('ad_model_classes', '')],
  ['ad_prompt', 'prompt', 'text', differs('ad_prompt', '')],
  ['ad_negative_prompt', 'negative prompt', 'text', differs('ad_negative_prompt', '')],
  ['ad_confidence', 'confidence', 'float', always],
  ['ad_mask_filter_method', 'method to decide top k masks', 'text', differs('ad_mask_k', 0)],
  ['ad_mask_k', 'mask only top k', 'whole', differs('ad_mask_k', 0)],
  ['ad_mask_min_ratio', 'mask min ratio', 'float', differs('ad_mask_min_ratio', 0)],
  ['ad_mask_max_ratio', 'mask max ratio', 'float', differs('ad_mask_max_ratio', 1)],
  ['ad_x_offset', 'x offset', 'whole', differs('ad_x_offset', 0)],
  ['ad_y_offset', 'y offset', 'whole', differs('ad_y_offset', 0)],
  ['ad_dilate_erode', 'dilate erode', 'whole', always],
  ['ad_mask_merge_invert', 'mask merge invert', 'text', differs('ad_mask_merge_invert', 'None')],
  ['ad_mask_blur', 'mask blur', 'whole', always],
  ['ad_denoising_strength', 'denoising strength', 'float', always],
  ['ad_inpaint_only_masked', 'inpaint only masked', 'flag', always],
  ['ad_inpaint_only_masked_padding', 'inpaint padding', 'whole', (unit) => unit.ad_inpaint_only_masked],
  [
    'ad_use_inpaint_width_height',
    'use inpaint width height',
    'flag',
    (unit) => unit.ad_use_inpaint_width_height,
  ],
  ['ad_inpaint_width', 'inpaint width', 'whole', (unit) => unit.ad_use_inpaint_width_height],
  ['ad_inpaint_height', 'inpaint height', 'whole', (unit) => unit.ad_use_inpaint_width_height],
  ['ad_use_steps', 'use separate steps', 'flag', (unit) => unit.ad_use_steps],
  ['ad_steps', 'steps', 'whole', (unit) => unit.ad_use_steps],
  ['ad_use_cfg_scale', 'use separate CFG scale', 'flag', (unit) => unit.ad_use_cfg_scale],
  ['ad_cfg_scale', 'CFG scale', 'float', (unit) => unit.ad_use_cfg_scale],
  ['ad_use_checkpoint', 'use separate checkpoint', 'flag', (unit) => unit.ad_use_checkpoint],
  ['ad_checkpoint', 'checkpoint', 'text', (unit) => unit.ad_use_checkpoint],
  ['ad_use_vae', 'use separate VAE', 'flag', (unit) => unit.ad_use_vae],
  ['ad_vae', 'VAE', 'text', (unit) => unit.ad_use_vae],
  ['ad_use_sampler', 'use separate sampler', 'flag', (unit) => unit.ad_use_sampler],
  ['ad_sampler', 'sampler', 'text', (unit) => unit.ad_use_sampler],
  [
    'ad_scheduler',
    'scheduler',
    'text',
    differs('ad_scheduler', 'Use same scheduler', (unit) => unit.ad_use_sampler),
  ],
  [
    'ad_use_noise_multiplier',
    'use separate noise multiplier',
    'flag',
    (unit) => unit.ad_use_noise_multiplier,
  ],
  ['ad_noise_multiplier', 'noise multiplier', 'float', (unit) => unit.ad_use_noise_multiplier],
  ['ad_use_clip_skip', 'use separate CLIP skip', 'flag', (unit) => unit.ad_use_clip_skip],
  ['ad_clip_skip', 'CLIP skip', 'whole', (unit) => unit.ad_use_clip_skip],
  ['ad_restore_face', 'restore face', 'flag', (unit) => unit.ad_restore_face],
  ['ad_controlnet_model', 'ControlNet model', 'text', usesControl],
  ['ad_controlnet_module', 'ControlNet module', 'text', differs('ad_controlnet_module', 'None', usesControl)],
  ['ad_controlnet_weight', 'ControlNet weight', 'float', differs('ad_controlnet_weight', 1, usesControl)],
  [
    'ad_controlnet_guidance_start',
    'ControlNet guidance start',
    'float',
    differs('ad_controlnet_guidance_start', 0, usesControl),
  ],
  [
    'ad_controlnet_guidance_end',
    'ControlNet guidance end',
    'float',
    differs('ad_controlnet_guidance_end', 1, usesControl),
  ],
];

/** What the infotext says of ADetailer's units, those after the first with their number. */
export function detailerPairs(units: readonly DetailerUnit[]): InfotextPair[] {
  const pairs = units.flatMap(({ body }, index) =>
    ENTRIES.filter(([, , , isSaid]) => isSaid(body)).map(([field, label, kind]): InfotextPair => [
      `ADetailer ${label}${index === 0 ? '' : ` ${ordinal(index + 1)}`}`,
      textOf(body[field], kind),
    ]),
  );
  return [...pairs, ['ADetailer version', VERSION]];
}

function textOf(value: DetailerBody[PlainField], kind: Entry[2]): string {
  if (kind === 'flag') return value === true ? 'True' : 'False';
  if (kind === 'float' && typeof value === 'number') return pythonFloat(value);
  return value === null ? 'None' : String(value);
}

/** `2nd`, `3rd`, `11th`. */
function ordinal(number: number): string {
  const teen = number % 100 >= 11 && number % 100 <= 13;
  const ending = teen ? undefined : ['th', 'st', 'nd', 'rd'][number % 10];
  return `${number}${ending ?? 'th'}`;
}
