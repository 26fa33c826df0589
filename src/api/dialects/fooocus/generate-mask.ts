import { readImageInput } from '#api/image-input.ts';
import { makeMap } from '#api/made-map.ts';
import { route } from '#api/route.ts';
import { blobToBase64 } from '#codecs/base64.ts';
import * as v from 'valibot';
import { chooseFinder } from './mask-finder.ts';
import { toToolReply } from './jobs.ts';
import { generateMask } from './tool-bodies.ts';
import { refusalOf, wrongValue } from './wrong-value.ts';

/** A mask of what is found in an image: a bare JSON string, base64 of a PNG (Fooocus-API, fooocusapi/routes/generate_v2.py). */
export const generateMaskRoute = route({
  method: 'POST',
  path: '/v1/tools/generate_mask',
  summary: 'A mask of an object in an image',
  body: generateMask,
  answer: v.string(),
  late: true,
  run: async (call) => {
    const { body } = call;
    if (body.image === null) throw wrongValue('image', 'There is no image. Send one to find something in.');
    const image = await readImageInput(call, body.image, 'image').catch((thrown: unknown) => {
      throw refusalOf('image', thrown);
    });
    const addOns = await call.ask((host) => host.addOns());
    const { finder, grow } = chooseFinder(
      {
        model: body.mask_model,
        text: body.dino_prompt_text,
        boxThreshold: body.box_threshold,
        maxDetections: body.sam_max_detections,
        boxes: body.dino_debug,
        grow: body.dino_erode_or_dilate,
      },
      addOns,
      { model: 'mask_model', text: 'dino_prompt_text' },
    );
    return blobToBase64(
      await makeMap(
        call,
        { task: 'find-mask', image, finder, erodeOrDilate: grow },
        toToolReply('Generate Mask'),
      ),
    );
  },
});
