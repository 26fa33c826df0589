import { decodeImage, MOST_PIXELS } from '#codecs/decode-image.ts';
import { encodePng } from '#codecs/png.ts';
import { isInpaintTask, readInpaintMask } from '#imaging/fooocus/image-input.ts';
import { planInpaintArea } from '#imaging/fooocus/inpaint.ts';
import { outpaintMargins, outpaintMask } from '#imaging/fooocus/outpaint.ts';
import { toRgb } from '#imaging/pillow/convert.ts';
import { createPixels, type Pixels } from '#imaging/pixels.ts';
import type { MaskSource, Sides, Size } from '#protocol/job.ts';
import type { InputImage } from './input-images.ts';
import type { SentImage } from './image-fields.ts';
import type { SentInpaint } from './sent-images.ts';
import { refusalOf, wrongValue } from './wrong-value.ts';

/** What `advanced_params` say of masks. */
export interface InpaintOptions {
  inpaint_erode_or_dilate: number;
  invert_mask_checkbox: boolean;
  inpaint_respective_field: number;
}

/** What is inpainted or outpainted, and where. */
export interface InpaintInput {
  image: InputImage;
  mask: MaskSource;
  /** Null where no side grows. */
  expand: Sides | null;
  /** The share of the image, 0 … 1, that the networks see at least. */
  field: number;
  /** What they generate, in pixels. */
  size: Size;
  additionalPrompt: string;
}

/**
 * Image and mask of a request to inpaint or outpaint.
 * @throws AppError if there is no image, or nothing to do: no white in the mask and no side to extend
 */
export async function readInpaintInput(
  read: (image: SentImage, field: string) => Promise<InputImage>,
  sent: SentInpaint,
  options: InpaintOptions,
): Promise<InpaintInput> {
  if (sent.image === null)
    throw wrongValue('input_image', 'There is no image. Send one to inpaint or outpaint.');
  const image = await read(sent.image, 'input_image');
  const upload = sent.mask === null ? null : await read(sent.mask, 'input_mask');
  const mask = await readMask(upload, image.size, options);
  if (!isInpaintTask(mask, sent.sides.length)) {
    throw wrongValue(
      'input_mask',
      'There is nothing to inpaint. Send a mask that is white in the area to inpaint, or sides to outpaint.',
    );
  }
  const { inpaint_respective_field: field } = options;
  const margins = outpaintMargins(image.size, sent.sides, sent.distances);
  checkGrown(image.size, margins);
  return {
    image,
    mask: maskSource(mask),
    expand: sent.sides.length > 0 ? margins : null,
    field,
    size: sizeOfArea(outpaintMask(mask, margins), field),
    additionalPrompt: sent.additionalPrompt,
  };
}

/** The mask as Fooocus sees it, as large as the image; black where none is sent. */
async function readMask(upload: InputImage | null, size: Size, options: InpaintOptions): Promise<Pixels> {
  const pixels: Pixels = upload ? await decode(upload.file) : createPixels({ width: 1, height: 1 }, 1);
  return readInpaintMask(pixels, size, {
    erodeOrDilate: options.inpaint_erode_or_dilate,
    invert: options.invert_mask_checkbox,
  });
}

async function decode(file: Blob): Promise<Pixels> {
  try {
    return { ...(await decodeImage(file)), channels: 4 };
  } catch (thrown) {
    const reason = thrown instanceof Error ? thrown.message : '';
    throw wrongValue('input_mask', `The mask cannot be read. ${reason}`.trim(), thrown);
  }
}

/** The mask as decoded here, so that all stages agree on it. */
function maskSource(mask: Pixels): MaskSource {
  if (!isInpaintTask(mask, 0)) return { kind: 'none' };
  const { width, height, data } = toRgb(mask);
  const file = new Blob([encodePng({ width, height, channels: 3, data })], { type: 'image/png' });
  return { kind: 'image', mask: file, invert: false };
}

function checkGrown({ width, height }: Size, { left, top, right, bottom }: Sides): void {
  const grown = { width: left + width + right, height: top + height + bottom };
  if (grown.width * grown.height <= MOST_PIXELS) return;
  throw wrongValue(
    'outpaint_selections',
    `The extended image would have ${grown.width} × ${grown.height} pixels. Choose smaller distances.`,
  );
}

function sizeOfArea(mask: Pixels, field: number): Size {
  try {
    const { width, height } = planInpaintArea(mask, field).size;
    // What the encoder keeps.
    return { width: Math.floor(width / 8) * 8, height: Math.floor(height / 8) * 8 };
  } catch (thrown) {
    throw refusalOf('input_image', thrown);
  }
}
