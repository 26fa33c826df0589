import type { FinishedImage } from '#engine/stages/init/prepared.ts';
import type { Stage } from '#engine/stages/run/context.ts';
import type { Pixels } from '#imaging/pixels.ts';
import type { GeneratedImage, OutputSpec } from '#protocol/job.ts';
import { encodeImage, toPng } from './encode-image.ts';

/** A finished image and the format of its file. */
export interface WriteInput {
  pixels: Pixels;
  /** What is known of it besides its size. */
  facts: Omit<GeneratedImage, 'width' | 'height'>;
  output: Pick<OutputSpec, 'format' | 'quality'>;
  /** Texts of the file, by keyword. */
  texts: Readonly<Record<string, string>>;
}

/** Makes an image a file and hands it over. @throws AppError `unsupported_feature` where this browser cannot write the format */
export const writeImage: Stage<WriteInput, void> = async (run, { pixels, facts, output, texts }) => {
  const { width, height } = pixels;
  const file = await encodeImage(pixels, output, texts);
  run.emit({ type: 'artifact', artifact: { kind: 'image', image: { ...facts, width, height } }, file });
  run.progress.finished();
};

/** The masks that inpainting makes besides an image, if requested. */
export interface WriteMasksInput {
  finished: FinishedImage;
  /** The image's position in the job. */
  index: number;
  roles: NonNullable<OutputSpec['masks']>;
}

/** Hands over the by-products of inpainting an image, as PNG files. */
export const writeMasks: Stage<WriteMasksInput, void> = (run, { finished, index, roles }) => {
  const { byProducts } = finished;
  if (roles.length === 0 || !byProducts) return Promise.resolve();
  const made = byProducts();
  for (const role of roles) {
    const artifact = { kind: 'mask', of: index, role, blob: toPng(made[role]) } as const;
    run.emit({ type: 'by-product', artifact });
  }
  return Promise.resolve();
};
