import { describeImage, describerHeaders } from '#api/describe-image.ts';
import { checkImage } from '#api/image-input.ts';
import { jsonResponse } from '#api/response.ts';
import { route } from '#api/route.ts';
import * as v from 'valibot';
import { toToolReply } from './jobs.ts';
import { describeImageForm, describeImageQuery } from './tool-bodies.ts';
import { refusalOf } from './wrong-value.ts';

/**
 * A caption of a photograph, or the tags of a drawing, as Fooocus has BLIP and WD14 for them (Fooocus-API,
 * fooocusapi/routes/generate_v1.py, `describe_image`).
 */
export const describeImageRoute = route({
  method: 'POST',
  path: '/v1/tools/describe-image',
  summary: 'A caption for an image (form)',
  body: describeImageForm,
  encoding: 'form',
  query: describeImageQuery,
  answer: v.object({ describe: v.string() }),
  late: true,
  run: async (call) => {
    const { image_type: type, type: documented } = call.query;
    const image = await checkImage(call.body.image, 'image').catch((thrown: unknown) => {
      throw refusalOf('image', thrown);
    });
    const kind = (type ?? documented) === 'Anime' ? 'tags' : 'caption';
    const description = await describeImage(call, image, { kind }, toToolReply('Image Describe'));
    return jsonResponse({ describe: description.text }, 200, describerHeaders(description));
  },
});
