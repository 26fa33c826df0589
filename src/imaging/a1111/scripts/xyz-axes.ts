import type { XyzValueKind } from './xyz-values.ts';

/** What a value of an axis changes in a request. */
export type XyzEffect =
  | { set: string }
  /** A setting of the webui, for this request only. */
  | { override: string; as?: 'boolean' }
  | 'nothing'
  | 'prompt search and replace'
  | 'prompt order'
  | 'size'
  | 'styles'
  | 'unipc order'
  | 'vae'
  | 'face restore';

/** What can be put on an axis of the X/Y/Z plot. */
export interface XyzAxis {
  label: string;
  kind: XyzValueKind;
  effect: XyzEffect;
  /** Axes that are slow to change are gone through in the outer loops. */
  cost?: number;
  /** Only for requests of this kind. */
  task?: 'txt2img' | 'img2img';
  /** What its legend shows of a value: the value alone, its last part, or nothing; else the label and the value. */
  legend?: 'value' | 'list' | 'file name' | 'nothing';
  /** Values that are not among its choices are refused before anything runs; `or none`: but for "None" and nothing. */
  confirms?: 'choice' | 'choice or none';
  /** Its values can be chosen from a list. */
  choices?: 'samplers' | 'schedules' | 'checkpoints' | 'upscalers' | 'vaes' | 'styles' | readonly string[];
}

const BOOLEANS = ['False', 'True'] as const;

/** An axis without values. */
export const NO_XYZ_AXIS: XyzAxis = {
  label: 'Nothing',
  kind: 'string',
  effect: 'nothing',
  legend: 'nothing',
};

/** The axes by label, in the order of the menu. Source: A1111 scripts/xyz_grid.py, `axis_options`. */
const xyzAxes: readonly XyzAxis[] = [
  NO_XYZ_AXIS,
  { label: 'Seed', kind: 'int', effect: { set: 'seed' } },
  { label: 'Var. seed', kind: 'int', effect: { set: 'subseed' } },
  { label: 'Var. strength', kind: 'float', effect: { set: 'subseed_strength' } },
  { label: 'Steps', kind: 'int', effect: { set: 'steps' } },
  { label: 'Hires steps', kind: 'int', effect: { set: 'hr_second_pass_steps' }, task: 'txt2img' },
  { label: 'CFG Scale', kind: 'float', effect: { set: 'cfg_scale' } },
  { label: 'Image CFG Scale', kind: 'float', effect: { set: 'image_cfg_scale' }, task: 'img2img' },
  { label: 'Prompt S/R', kind: 'string', effect: 'prompt search and replace', legend: 'value' },
  { label: 'Prompt order', kind: 'permutations', effect: 'prompt order', legend: 'list' },
  {
    label: 'Sampler',
    confirms: 'choice',
    kind: 'string',
    effect: { set: 'sampler_name' },
    legend: 'value',
    choices: 'samplers',
  },
  {
    label: 'Hires sampler',
    confirms: 'choice',
    kind: 'string',
    effect: { set: 'hr_sampler_name' },
    task: 'txt2img',
    choices: 'samplers',
  },
  {
    label: 'Checkpoint name',
    confirms: 'choice',
    kind: 'string',
    effect: { override: 'sd_model_checkpoint' },
    cost: 1,
    legend: 'file name',
    choices: 'checkpoints',
  },
  { label: 'Negative Guidance minimum sigma', kind: 'float', effect: { set: 's_min_uncond' } },
  { label: 'Sigma Churn', kind: 'float', effect: { set: 's_churn' } },
  { label: 'Sigma min', kind: 'float', effect: { set: 's_tmin' } },
  { label: 'Sigma max', kind: 'float', effect: { set: 's_tmax' } },
  { label: 'Sigma noise', kind: 'float', effect: { set: 's_noise' } },
  { label: 'Schedule type', kind: 'string', effect: { set: 'scheduler' }, choices: 'schedules' },
  { label: 'Schedule min sigma', kind: 'float', effect: { override: 'sigma_min' } },
  { label: 'Schedule max sigma', kind: 'float', effect: { override: 'sigma_max' } },
  { label: 'Schedule rho', kind: 'float', effect: { override: 'rho' } },
  { label: 'Beta schedule alpha', kind: 'float', effect: { override: 'beta_dist_alpha' } },
  { label: 'Beta schedule beta', kind: 'float', effect: { override: 'beta_dist_beta' } },
  { label: 'Eta', kind: 'float', effect: { set: 'eta' } },
  { label: 'Clip skip', kind: 'int', effect: { override: 'CLIP_stop_at_last_layers' } },
  { label: 'Denoising', kind: 'float', effect: { set: 'denoising_strength' } },
  { label: 'Initial noise multiplier', kind: 'float', effect: { set: 'initial_noise_multiplier' } },
  { label: 'Extra noise', kind: 'float', effect: { override: 'img2img_extra_noise' } },
  {
    label: 'Hires upscaler',
    kind: 'string',
    effect: { set: 'hr_upscaler' },
    task: 'txt2img',
    choices: 'upscalers',
  },
  {
    label: 'Cond. Image Mask Weight',
    kind: 'float',
    effect: { set: 'inpainting_mask_weight' },
    task: 'img2img',
  },
  { label: 'VAE', kind: 'string', effect: 'vae', cost: 0.7, choices: 'vaes' },
  { label: 'Styles', kind: 'string', effect: 'styles', choices: 'styles' },
  { label: 'UniPC Order', kind: 'int', effect: 'unipc order', cost: 0.5 },
  { label: 'Face restore', kind: 'string', effect: 'face restore', legend: 'value' },
  { label: 'Token merging ratio', kind: 'float', effect: { override: 'token_merging_ratio' } },
  { label: 'Token merging ratio high-res', kind: 'float', effect: { override: 'token_merging_ratio_hr' } },
  {
    label: 'Always discard next-to-last sigma',
    kind: 'string',
    effect: { override: 'always_discard_next_to_last_sigma', as: 'boolean' },
    choices: BOOLEANS,
  },
  {
    label: 'SGM noise multiplier',
    kind: 'string',
    effect: { override: 'sgm_noise_multiplier', as: 'boolean' },
    choices: BOOLEANS,
  },
  {
    label: 'Refiner checkpoint',
    confirms: 'choice or none',
    kind: 'string',
    effect: { set: 'refiner_checkpoint' },
    cost: 1,
    legend: 'file name',
    choices: 'checkpoints',
  },
  { label: 'Refiner switch at', kind: 'float', effect: { set: 'refiner_switch_at' } },
  {
    label: 'RNG source',
    kind: 'string',
    effect: { override: 'randn_source' },
    choices: ['GPU', 'CPU', 'NV'],
  },
  {
    label: 'FP8 mode',
    kind: 'string',
    effect: { override: 'fp8_storage' },
    cost: 0.9,
    choices: ['Disable', 'Enable for SDXL', 'Enable'],
  },
  { label: 'Size', kind: 'string', effect: 'size' },
];

/** The axes for a kind of request, in the order in which arguments number them. */
export function xyzAxesOf(task: 'txt2img' | 'img2img'): XyzAxis[] {
  return xyzAxes.filter((axis) => (axis.task ?? task) === task);
}

/** Whether the values of an axis are seeds, of which −1 is a random one. */
export function isSeedAxis({ label }: XyzAxis): boolean {
  return label === 'Seed' || label === 'Var. seed';
}

/** The axis of a label for a kind of request. */
export function findXyzAxis(label: string, task: 'txt2img' | 'img2img'): XyzAxis | undefined {
  return xyzAxesOf(task).find((axis) => axis.label === label);
}
