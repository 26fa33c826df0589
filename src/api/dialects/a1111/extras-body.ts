import {
  honoured,
  noEffect,
  param,
  parameters,
  partOf,
  requiredParam,
  type BodyOf,
} from '#api/parameters.ts';
import * as v from 'valibot';
import { f } from './fields.ts';

const share = () => f.number({ min: 0, max: 1 });

const extrasRows = {
  resize_mode: param(f.oneOf([0, 1]), 0, honoured, '0 by a factor, 1 to a size'),
  show_extras_results: param(f.boolean(), true, noEffect('as in the original'), 'Show the results'),
  gfpgan_visibility: param(share(), 0, honoured, 'Visibility of faces restored by GFPGAN'),
  codeformer_visibility: param(share(), 0, honoured, 'Visibility of faces restored by CodeFormer'),
  codeformer_weight: param(share(), 0, partOf('codeformer_visibility'), 'Weight of CodeFormer'),
  upscaling_resize: param(f.number({ above: 0 }), 2, honoured, 'Factor'),
  upscaling_resize_w: param(f.integer({ min: 1 }), 512, honoured, 'Width in pixels'),
  upscaling_resize_h: param(f.integer({ min: 1 }), 512, honoured, 'Height in pixels'),
  upscaling_crop: param(f.boolean(), true, honoured, 'Crop to the size'),
  upscaler_1: param(f.string(), 'None', honoured, 'Upscaler'),
  upscaler_2: param(f.string(), 'None', honoured, 'Second upscaler, blended with the first'),
  extras_upscaler_2_visibility: param(share(), 0, honoured, 'Visibility of the second upscaler'),
  upscale_first: param(f.boolean(), false, partOf('gfpgan_visibility'), 'Upscale before faces are restored'),
};

/** `POST /sdapi/v1/extra-single-image`. */
export const extraSingleBody = parameters({
  ...extrasRows,
  image: param(f.string(), '', honoured, 'Image in base64'),
});

/** What both routes have. */
export type ExtrasBody = Omit<BodyOf<typeof extraSingleBody>, 'image'>;

/** `POST /sdapi/v1/extra-batch-images`. */
export const extraBatchBody = parameters({
  ...extrasRows,
  imageList: requiredParam(
    f.list(f.model({ data: f.string(), name: f.string() })),
    honoured,
    'Images in base64, with their names',
  ),
});

export const extraSingleAnswer = v.object({ html_info: v.string(), image: v.nullable(v.string()) });

export const extraBatchAnswer = v.object({ html_info: v.string(), images: v.array(v.string()) });
