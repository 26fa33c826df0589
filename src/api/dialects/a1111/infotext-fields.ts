import { MASKED_CONTENTS } from '#codecs/generation-fields.ts';
import { FACE_RESTORATION, parseInfotext } from '#codecs/infotext.ts';
import { splitJointName } from './samplers.ts';

/** Values that an infotext leaves out (A1111, modules/infotext_utils.py). */
const DEFAULTS: Readonly<Record<string, string>> = {
  'Clip skip': '1',
  'Hires resize-1': '0',
  'Hires resize-2': '0',
  'Hires sampler': 'Use same sampler',
  'Hires schedule type': 'Use same scheduler',
  'Hires checkpoint': 'Use same checkpoint',
  'Hires prompt': '',
  'Hires negative prompt': '',
  'Mask mode': 'Inpaint masked',
  'Masked content': 'original',
  'Inpaint area': 'Whole picture',
  'Masked area padding': '32',
  RNG: 'GPU',
  'Schedule type': 'Automatic',
  'Schedule max sigma': '0',
  'Schedule min sigma': '0',
  'Schedule rho': '0',
  'VAE Encoder': 'Full',
  'VAE Decoder': 'Full',
  'FP8 weight': 'Disable',
  'Cache FP16 weight for LoRA': 'False',
  Emphasis: 'Original',
  'Refiner switch by sampling steps': 'False',
};

/** An infotext's entries as `png-info` lists them, what it leaves out filled in. */
export function readGenerationParameters(text: string): Record<string, string> {
  const { prompt, negativePrompt, parameters } = parseInfotext(text);
  const entries: Record<string, string> = Object.fromEntries(parameters);
  const { sampler, scheduler } = splitJointName(entries['Sampler'] ?? '');
  return {
    Prompt: prompt,
    'Negative prompt': negativePrompt,
    ...DEFAULTS,
    ...entries,
    ...(scheduler && { Sampler: sampler, 'Schedule type': scheduler.label }),
  };
}

/** Request fields by the entries that fill them. */
const FIELDS: Readonly<Record<string, string>> = {
  Prompt: 'prompt',
  'Negative prompt': 'negative_prompt',
  Steps: 'steps',
  Sampler: 'sampler_name',
  'Schedule type': 'scheduler',
  'CFG scale': 'cfg_scale',
  Seed: 'seed',
  'Variation seed': 'subseed',
  'Variation seed strength': 'subseed_strength',
  'Seed resize from-1': 'seed_resize_from_w',
  'Seed resize from-2': 'seed_resize_from_h',
  'Size-1': 'width',
  'Size-2': 'height',
  'Denoising strength': 'denoising_strength',
  'Hires upscale': 'hr_scale',
  'Hires upscaler': 'hr_upscaler',
  'Hires steps': 'hr_second_pass_steps',
  'Hires resize-1': 'hr_resize_x',
  'Hires resize-2': 'hr_resize_y',
  'Hires checkpoint': 'hr_checkpoint_name',
  'Hires sampler': 'hr_sampler_name',
  'Hires schedule type': 'hr_scheduler',
  'Hires prompt': 'hr_prompt',
  'Hires negative prompt': 'hr_negative_prompt',
  'Mask blur': 'mask_blur',
  'Masked area padding': 'inpaint_full_res_padding',
  Refiner: 'refiner_checkpoint',
  'Refiner switch at': 'refiner_switch_at',
};

/** Options by the entries that override them. */
const OVERRIDES: Readonly<Record<string, string>> = {
  'Model hash': 'sd_model_checkpoint',
  VAE: 'sd_vae',
  'Clip skip': 'CLIP_stop_at_last_layers',
  ENSD: 'eta_noise_seed_delta',
  RNG: 'randn_source',
  'Token merging ratio': 'token_merging_ratio',
  'Token merging ratio hr': 'token_merging_ratio_hr',
  'Noise multiplier': 'initial_noise_multiplier',
  'Conditional mask weight': 'inpainting_mask_weight',
  'Extra noise': 'img2img_extra_noise',
  'Hires refiner': 'hires_fix_refiner_pass',
  'Refiner switch by sampling steps': 'refiner_switch_by_sample_steps',
  Eta: 'eta_ancestral',
  'Eta DDIM': 'eta_ddim',
  Emphasis: 'emphasis',
  'Schedule max sigma': 'sigma_max',
  'Schedule min sigma': 'sigma_min',
  'Schedule rho': 'rho',
  'Sigma churn': 's_churn',
  'Sigma tmin': 's_tmin',
  'Sigma tmax': 's_tmax',
  'Sigma noise': 's_noise',
  NGMS: 's_min_uncond',
  'Discard penultimate sigma': 'always_discard_next_to_last_sigma',
  'UniPC variant': 'uni_pc_variant',
  'UniPC skip type': 'uni_pc_skip_type',
  'UniPC order': 'uni_pc_order',
  'UniPC lower order final': 'uni_pc_lower_order_final',
};

/** Every infotext of an image made with a mask has one of these. */
const MASK_SIGNS = ['Mask blur', 'Mask mode', 'Masked content', 'Inpaint area'];

/** Of an image that was made with a mask, what is not written has the default of the original's page, not of its API. */
function maskFields(entries: Readonly<Record<string, string>>): Record<string, unknown> {
  if (!MASK_SIGNS.some((sign) => entries[sign] !== undefined)) return {};
  const content = MASKED_CONTENTS.findIndex((known) => known === (entries['Masked content'] ?? 'original'));
  return {
    inpainting_mask_invert: entries['Mask mode'] === 'Inpaint not masked' ? 1 : 0,
    inpainting_fill: Math.max(content, 0),
    inpaint_full_res: entries['Inpaint area'] === 'Only masked',
  };
}

const HIRES_SIGNS = ['Hires upscale', 'Hires upscaler', 'Hires resize-1'];

export interface InfotextFields {
  /** Values of request fields, as text; the schema reads them. */
  fields: Record<string, unknown>;
  overrides: Record<string, unknown>;
}

/** What an infotext says about the fields and options of a request. */
export function fieldsOfInfotext(text: string): InfotextFields {
  const { prompt, negativePrompt, parameters } = parseInfotext(text);
  const written: Readonly<Record<string, string>> = Object.fromEntries(parameters);
  const legacy = splitJointName(written['Sampler'] ?? '');
  const entries: Record<string, string> = {
    Prompt: prompt,
    'Negative prompt': negativePrompt,
    ...written,
    ...(legacy.scheduler && { Sampler: legacy.sampler, 'Schedule type': legacy.scheduler.label }),
  };
  const pick = (names: Readonly<Record<string, string>>) =>
    Object.fromEntries(
      Object.entries(names).flatMap(([entry, field]) => {
        const value = entries[entry];
        return value === undefined ? [] : [[field, value] as const];
      }),
    );
  const hires =
    entries['Denoising strength'] !== undefined && HIRES_SIGNS.some((sign) => entries[sign] !== undefined);
  const restorer = entries[FACE_RESTORATION];
  return {
    fields: {
      ...pick(FIELDS),
      ...maskFields(entries),
      ...(hires && { enable_hr: true }),
      ...(restorer !== undefined && { restore_faces: true }),
    },
    overrides: { ...pick(OVERRIDES), ...(restorer !== undefined && { face_restoration_model: restorer }) },
  };
}
