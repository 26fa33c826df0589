import { honoured, param, parameters, partOf, type BodyOf } from '#api/parameters.ts';
import { f } from './fields.ts';
import { leadingRows, namingRows, trailingRows } from './generation-rows.ts';

const ofHires = partOf('enable_hr');

/** `POST /sdapi/v1/txt2img`, in the order in which the answer's `parameters` repeats it. */
export const txt2imgBody = parameters({
  ...leadingRows,
  enable_hr: param(f.boolean(), false, honoured, 'Hires fix: a second pass at a larger size'),
  firstphase_width: param(f.integer(), 0, ofHires, 'Width of the first pass'),
  firstphase_height: param(f.integer(), 0, ofHires, 'Height of the first pass'),
  hr_scale: param(f.number(), 2, ofHires, 'Scale factor'),
  hr_upscaler: param(f.string(), null, ofHires, 'Upscaler or latent upscale mode'),
  hr_second_pass_steps: param(
    f.integer(),
    0,
    ofHires,
    'Steps of the second pass; 0 means as many as the first',
  ),
  hr_resize_x: param(f.integer(), 0, ofHires, 'Width to upscale to'),
  hr_resize_y: param(f.integer(), 0, ofHires, 'Height to upscale to'),
  hr_checkpoint_name: param(f.string(), null, ofHires, 'Checkpoint of the second pass'),
  hr_sampler_name: param(f.string(), null, ofHires, 'Sampler of the second pass'),
  hr_scheduler: param(f.string(), null, ofHires, 'Schedule of the second pass'),
  hr_prompt: param(f.string(), '', ofHires, 'Prompt of the second pass'),
  hr_negative_prompt: param(f.string(), '', ofHires, 'Negative prompt of the second pass'),
  ...namingRows,
  ...trailingRows,
});

export type Txt2imgBody = BodyOf<typeof txt2imgBody>;
