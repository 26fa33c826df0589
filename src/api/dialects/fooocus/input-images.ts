import { checkImage, readImageInput, type ImageCall } from '#api/image-input.ts';
import { missingCapability } from '#api/parameters.ts';
import { readImageFacts } from '#codecs/image-size.ts';
import { readUovMethod, type UovMethod } from '#imaging/fooocus/upscale-or-vary.ts';
import type { Size } from '#protocol/job.ts';
import { isControlType, type ControlType } from './image-bodies.ts';
import type { SentImage } from './image-fields.ts';
import { readInpaintInput, type InpaintInput, type InpaintOptions } from './inpaint-input.ts';
import type { SentImages, SentPrompt } from './sent-images.ts';
import { refusalOf, wrongValue } from './wrong-value.ts';

/** An image file and its size in pixels. */
export interface InputImage {
  file: Blob;
  size: Size;
}

/** The images of a request, read. */
export interface InputImages {
  /** Null if there is none, or its method is `Disabled`. */
  upscaleOrVary: { image: InputImage; method: Exclude<UovMethod, { kind: 'disabled' }> } | null;
  inpaint: InpaintInput | null;
  prompts: readonly ImagePrompt[];
}

export type ImagePrompt = Omit<SentPrompt, 'image' | 'type'> & InputImage & { type: ControlType };

/**
 * Reads the images of a request.
 * @throws AppError a refusal of the first image that cannot be used; `unsupported_feature` for image prompts of other types
 *   than those of control images
 */
export async function readInputImages(
  call: ImageCall,
  sent: SentImages,
  options: InpaintOptions,
): Promise<InputImages> {
  const read = (image: SentImage, field: string) => readImage(call, image, field);
  const prompts: ImagePrompt[] = [];
  for (const { image, type, ...prompt } of sent.prompts) {
    const { field } = prompt;
    if (!isControlType(type)) throw missingCapability(`'${field}' of type ${type}`, 'image-prompt', field);
    prompts.push({ ...prompt, type, ...(await read(image, field)) });
  }
  return {
    upscaleOrVary: await readUpscaleOrVary(read, sent.upscaleOrVary),
    inpaint: sent.inpaint ? await readInpaintInput(read, sent.inpaint, options) : null,
    prompts,
  };
}

async function readUpscaleOrVary(
  read: (image: SentImage, field: string) => Promise<InputImage>,
  sent: SentImages['upscaleOrVary'],
): Promise<InputImages['upscaleOrVary']> {
  if (!sent) return null;
  if (sent.image === null) throw wrongValue('input_image', 'There is no image. Send one to upscale or vary.');
  const image = await read(sent.image, 'input_image');
  const method = readUovMethod(sent.method, sent.factor ?? 0);
  return method.kind === 'disabled' ? null : { image, method };
}

async function readImage(call: ImageCall, image: SentImage, field: string): Promise<InputImage> {
  try {
    const file = await (typeof image === 'string'
      ? readImageInput(call, image, field)
      : checkImage(image, field));
    const { width, height } = readImageFacts(new Uint8Array(await file.arrayBuffer()));
    return { file, size: { width, height } };
  } catch (thrown) {
    throw refusalOf(field, thrown);
  }
}
