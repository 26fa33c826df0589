import {
  describeImage,
  describerHeaders,
  type DescriptionKind,
  type DescriptionRequest,
} from '#api/describe-image.ts';
import { jsonResponse } from '#api/response.ts';
import { route } from '#api/route.ts';
import { isRecord } from '#codecs/json.ts';
import * as v from 'valibot';
import { httpException } from './errors.ts';
import { readImage } from './image-input.ts';
import { effectiveOptions, type Options } from './options.ts';
import type { ProgressReply } from './progress.ts';
import { interrogateBody } from './schema.ts';

const KINDS: Readonly<Record<string, DescriptionKind>> = { clip: 'caption', deepdanbooru: 'tags' };

const reply: ProgressReply = { job: 'interrogate' };

/** A caption, or tags (A1111, modules/api/api.py, `interrogateapi`). */
export const interrogate = route({
  method: 'POST',
  path: '/sdapi/v1/interrogate',
  summary: 'A caption for an image, or its tags',
  body: interrogateBody,
  answer: v.object({ caption: v.string() }),
  late: true,
  run: async (call) => {
    if (isRecord(call.received) && call.received['image'] === null)
      throw httpException(404, 'Image not found');
    const kind = KINDS[call.body.model];
    if (!kind) throw httpException(404, 'Model not found');
    const options = effectiveOptions(await call.ask((host) => host.settings()));
    const image = await readImage(call, call.body.image, options, 'image');
    const description = await describeImage(call, image, { kind, ...describing(options) }, { ...reply });
    return jsonResponse({ caption: description.text }, 200, describerHeaders(description));
  },
});

/** What the options say of descriptions (A1111, modules/deepbooru.py and interrogate.py). */
export function describing(options: Options): Omit<DescriptionRequest, 'kind'> {
  return {
    maxTokens: options.interrogate_clip_max_length,
    rules: {
      threshold: options.interrogate_deepbooru_score_threshold,
      sortsByName: options.deepbooru_sort_alpha,
      usesSpaces: options.deepbooru_use_spaces,
      escapes: options.deepbooru_escape,
      showsScores: options.interrogate_return_ranks,
      leaveOut: options.deepbooru_filter_tags.split(',').map((tag) => tag.trim().replaceAll(' ', '_')),
    },
  };
}
