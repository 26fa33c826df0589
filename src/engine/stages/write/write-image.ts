import type { Pixels } from '#engine/stages/pixels/resize.ts';
import type { Stage } from '#engine/stages/run/context.ts';
import type { GeneratedImage, OutputSpec } from '#protocol/job.ts';
import { encodeImage } from './encode-image.ts';

/** A finished image and how its file is to be. */
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
