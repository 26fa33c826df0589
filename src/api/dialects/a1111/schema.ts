import { honoured, param, parameters, requiredParam } from '#api/parameters.ts';
import * as v from 'valibot';
import { f } from './fields.ts';

export const interrogateBody = parameters({
  image: param(f.string(), '', honoured, 'Image in base64'),
  model: param(f.string(), 'clip', honoured, '`clip` or `deepdanbooru`'),
});

export const pngInfoBody = parameters({
  image: requiredParam(f.string(), honoured, 'Image in base64'),
});

export const progressQuery = parameters({
  skip_current_image: param(f.boolean(), false, honoured, 'Omit the preview'),
});

export const taskProgressBody = parameters({
  id_task: param(f.string(), null, honoured, 'The `force_task_id` of a request'),
  id_live_preview: param(f.integer(), -1, honoured, 'Id of the last preview received'),
  live_preview: param(f.boolean(), true, honoured, 'Send a newer preview'),
});

/** Any JSON object. */
export const anyBody = v.record(v.string(), v.unknown(), 'object');

/** Of txt2img and img2img. */
export const generationAnswer = v.object({
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
