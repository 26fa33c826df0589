import { honoured, missingCapability, noEffect, param, parameters } from '#api/parameters.ts';
import { route } from '#api/route.ts';
import { blobToBase64 } from '#codecs/base64.ts';
import { encodePng } from '#codecs/png.ts';
import { preprocess } from '#imaging/controlnet/preprocessors.ts';
import { toRgbOnWhite } from '#imaging/pixels.ts';
import * as v from 'valibot';
import { decode, read } from './controlnet-images.ts';
import { findModule, moduleSettings, type ControlModule } from './controlnet-modules.ts';
import { httpException } from './errors.ts';
import { f } from './fields.ts';

const ofMaskedModules = noEffect('no preprocessor here looks at masks');

const detectBody = parameters({
  controlnet_module: param(f.string(), 'none', honoured, 'Preprocessor'),
  controlnet_input_images: param(f.list(f.string()), [], honoured, 'Images in base64'),
  controlnet_processor_res: param(f.integer(), -1, honoured, 'Resolution of the preprocessor'),
  controlnet_threshold_a: param(f.number(), -1, honoured, 'First slider of the preprocessor'),
  controlnet_threshold_b: param(f.number(), -1, honoured, 'Second slider of the preprocessor'),
  controlnet_masks: param(f.list(f.string()), [], ofMaskedModules, 'Masks in base64'),
  low_vram: param(f.boolean(), false, noEffect('memory is managed here'), 'Save memory'),
});

/** What a preprocessor makes of images (ControlNet extension, scripts/api.py). */
export const controlNetDetect = route({
  method: 'POST',
  path: '/controlnet/detect',
  summary: 'Run a preprocessor on images',
  body: detectBody,
  answer: v.object({ info: v.string(), images: v.array(v.string()) }),
  run: async ({ body }) => {
    const module = findModule(body.controlnet_module);
    if (!module) throw missingCapability(`'${body.controlnet_module}'`, 'control-preprocessor');
    if (body.controlnet_input_images.length === 0) throw httpException(422, 'No image selected');
    const settings = moduleSettings(module, {
      processor_res: body.controlnet_processor_res,
      threshold_a: body.controlnet_threshold_a,
      threshold_b: body.controlnet_threshold_b,
    });
    const images: string[] = [];
    for (const image of body.controlnet_input_images) images.push(await detect(image, module, settings));
    return { info: 'Success', images };
  },
});

async function detect(
  image: string,
  { preprocessor }: ControlModule,
  settings: ReturnType<typeof moduleSettings>,
): Promise<string> {
  // It is another image that it hides a part of, and that only a job has.
  if (preprocessor === 'inpaint') throw httpException(422, 'Module not supported');
  const pixels = { ...(await decode(read(image))), channels: 4 } as const;
  const map = preprocessor === null ? toRgbOnWhite(pixels) : preprocess(preprocessor, pixels, settings);
  return blobToBase64(new Blob([encodePng({ ...map, channels: 3 })]));
}
