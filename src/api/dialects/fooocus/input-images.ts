import { checkImage, readImageInput, type ImageCall } from '#api/image-input.ts';
import { readImageFacts } from '#codecs/image-size.ts';
import { readUovMethod, type UovMethod } from '#imaging/fooocus/upscale-or-vary.ts';
import type { Size } from '#protocol/job.ts';
import type { SentImage } from './image-fields.ts';
import { readInpaintInput, type InpaintInput, type InpaintOptions } from './inpaint-input.ts';
import type { SentEnhance, SentImages, SentPrompt } from './sent-images.ts';
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
  enhance: EnhanceInput | null;
  prompts: readonly ImagePrompt[];
}

/** An image to enhance, and how. */
export type EnhanceInput = Omit<SentEnhance, 'image' | 'method'> & {
  image: InputImage;
  method: UovMethod;
};

export type ImagePrompt = Omit<SentPrompt, 'image'> & InputImage;

/**
 * Reads the images of a request.
 * @throws AppError a refusal of the first image that cannot be used
 */
export async function readInputImages(
  call: ImageCall,
  sent: SentImages,
  options: InpaintOptions,
): Promise<InputImages> {
  const read = (image: SentImage, field: string) => readImage(call, image, field);
  const prompts: ImagePrompt[] = [];
  for (const { image, ...prompt } of sent.prompts) {
    prompts.push({ ...prompt, ...(await read(image, prompt.field)) });
  }
  return {
    upscaleOrVary: await readUpscaleOrVary(read, sent.upscaleOrVary),
    inpaint: sent.inpaint ? await readInpaintInput(read, sent.inpaint, options) : null,
    enhance: sent.enhance ? await readEnhance(read, sent.enhance) : null,
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

async function readEnhance(
  read: (image: SentImage, field: string) => Promise<InputImage>,
  { image, method: name, ...rest }: SentEnhance,
): Promise<EnhanceInput> {
  if (image === null) throw wrongValue('enhance_input_image', 'There is no image. Send one to enhance.');
  const method = readUovMethod(name);
  if (method.kind === 'disabled' && rest.enhancements.length === 0) {
    throw wrongValue(
      'enhance_uov_method',
      'There is nothing to do. Enable an enhancement, or choose how to upscale or vary the image.',
    );
  }
  return { ...rest, method, image: await read(image, 'enhance_input_image') };
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
