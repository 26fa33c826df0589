import { openVisionNetworks } from '#engine/vision/open-network.ts';
import { toInput } from '#engine/vision/image-network.ts';
import { sizeFor } from '#engine/vision/image-processor.ts';
import { createDecoder } from '#engine/text/text-decoder.ts';
import type { RunContext } from '#engine/stages/run/context.ts';
import { resize } from '#imaging/pillow/resize.ts';
import type { Pixels } from '#imaging/pixels.ts';
import type { CaptionerDescriber } from '#protocol/describer.ts';
import { AppError } from '#protocol/error.ts';
import type { AddOnPack } from '#protocol/model.ts';
import { readCaptionConfig, VIT } from './caption-config.ts';
import { writeCaption } from './write-caption.ts';

/**
 * The caption of an image encoder, and a text decoder that reads what it saw, as transformers' VisionEncoderDecoderModel.
 * @param pixels RGB
 * @throws AppError `integrity_failed` for a damaged one, `unsupported_feature` for graphs of another form, and what the runtime throws
 */
export async function captionByVisionDecoder(
  run: RunContext,
  pack: AddOnPack,
  pixels: Pixels,
  { maxTokens }: CaptionerDescriber,
): Promise<string> {
  const config = await readCaptionConfig(pack, run.addOns.files(pack), VIT);
  const [encoder, decoder] = await openVisionNetworks(run, pack, [
    'encoder_model.onnx',
    'decoder_model_merged.onnx',
  ]);
  run.progress.describing();
  const { image } = config;
  const { data, channels, height, width } = toInput(
    resize(pixels, sizeFor(pixels, image.size), image.filter),
    image,
  );
  const encoded = await encoder?.run({
    pixel_values: { type: 'float32', data, dims: [1, channels, height, width] },
  });
  const states = encoded?.['last_hidden_state'];
  if (!states || !decoder)
    throw new AppError('integrity_failed', `${pack.title} is damaged. Install it again.`);
  return writeCaption(run, createDecoder(decoder, states), config, maxTokens);
}
