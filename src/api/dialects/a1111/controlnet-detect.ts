import { makeMap } from '#api/made-map.ts';
import { honoured, noEffect, param, parameters } from '#api/parameters.ts';
import { route, type Call } from '#api/route.ts';
import { blobToBase64 } from '#codecs/base64.ts';
import { encodePng } from '#codecs/png.ts';
import { isPreprocessorName, preprocess } from '#imaging/controlnet/preprocessors.ts';
import { toRgbOnWhite } from '#imaging/pixels.ts';
import type { AddOnInfo } from '#protocol/model.ts';
import * as v from 'valibot';
import { decode, read } from './controlnet-images.ts';
import {
  findModule,
  moduleSettings,
  networkPreprocessor,
  noSuchModule,
  type ControlModule,
} from './controlnet-modules.ts';
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
  late: true,
  run: async (call) => {
    const { body } = call;
    const module = findModule(body.controlnet_module);
    const addOns = await addOnsFor(call, module);
    if (!module) throw noSuchModule(body.controlnet_module, addOns);
    if (body.controlnet_input_images.length === 0) throw httpException(422, 'No image selected');
    const settings = moduleSettings(module, {
      processor_res: body.controlnet_processor_res,
      threshold_a: body.controlnet_threshold_a,
      threshold_b: body.controlnet_threshold_b,
    });
    const preprocessor = networkPreprocessor(module, settings, addOns);
    const images: string[] = [];
    for (const image of body.controlnet_input_images) {
      const map = preprocessor
        ? await makeMap(call, { task: 'preprocess', image: await checked(image), preprocessor })
        : await detect(image, module, settings);
      images.push(await blobToBase64(map));
    }
    return { info: 'Success', images };
  },
});

/** What is installed, where that matters: modules without a network need no tab. */
async function addOnsFor(
  { ask }: Pick<Call<unknown, unknown>, 'ask'>,
  module: ControlModule | undefined,
): Promise<readonly AddOnInfo[]> {
  return module && !module.networks ? [] : ask((host) => host.addOns());
}

/** An image file that a job can read. */
async function checked(image: string): Promise<Blob> {
  const file = read(image);
  await decode(file);
  return file;
}

async function detect(
  image: string,
  { preprocessor }: ControlModule,
  settings: ReturnType<typeof moduleSettings>,
): Promise<Blob> {
  // One hides a part of another image, which only a job has; the others make no image.
  if (preprocessor === 'inpaint' || preprocessor === 'ip-adapter')
    throw httpException(422, 'Module not supported');
  const pixels = { ...(await decode(read(image))), channels: 4 } as const;
  const map =
    preprocessor !== null && isPreprocessorName(preprocessor)
      ? preprocess(preprocessor, pixels, settings)
      : toRgbOnWhite(pixels);
  return new Blob([encodePng({ ...map, channels: 3 })]);
}
