import type { FloatTensor, Session, TensorValue } from '#engine/runtime/runtime.ts';
import { createDecoder } from '#engine/text/text-decoder.ts';
import type { RunContext } from '#engine/stages/run/context.ts';
import { IMAGENET, toInput } from '#engine/vision/image-network.ts';
import { sizeFor, type ImageProcessor } from '#engine/vision/image-processor.ts';
import { openVisionNetwork, openVisionNetworks } from '#engine/vision/open-network.ts';
import { resize } from '#imaging/pillow/resize.ts';
import type { Pixels } from '#imaging/pixels.ts';
import type { CaptionerDescriber, CaptionExtent } from '#protocol/describer.ts';
import { AppError } from '#protocol/error.ts';
import type { AddOnPack } from '#protocol/model.ts';
import { readCaptionConfig } from './caption-config.ts';
import { writeCaption } from './write-caption.ts';

/** What Florence-2 is asked, by its tasks CAPTION, DETAILED_CAPTION and MORE_DETAILED_CAPTION. */
const QUESTIONS: Readonly<Record<CaptionExtent, string>> = {
  sentence: 'What does the image describe?',
  details: 'Describe in detail what is shown in the image.',
  paragraph: 'Describe with a paragraph what is shown in the image.',
};

/** Of microsoft/Florence-2-base. */
const IMAGE: ImageProcessor = { ...IMAGENET, size: { width: 768, height: 768 }, filter: 'bicubic' };

/**
 * The caption of a Florence-2 in four graphs: an encoder reads what the image's network saw and after it the question, and a
 * decoder what the encoder says. Greedy, where the model's own settings are three beams.
 * Source: transformers, models/florence2/processing_florence2.py, and transformers.js, models/florence2/modeling_florence2.js.
 * @param pixels RGB
 * @throws AppError `integrity_failed` for a damaged one, `unsupported_feature` for graphs of another form, and what the runtime throws
 */
export async function captionByFlorence(
  run: RunContext,
  pack: AddOnPack,
  pixels: Pixels,
  { maxTokens, extent = 'sentence' }: CaptionerDescriber,
): Promise<string> {
  const config = await readCaptionConfig(pack, run.addOns.files(pack), IMAGE);
  const { image, tokenizer } = config;
  // By itself: the four together are more than is kept on the device.
  const eye = await openVisionNetwork(run, pack, 'vision_encoder.onnx');
  run.progress.describing();
  const size = sizeFor(pixels, image.size);
  const { data } = toInput(resize(pixels, size, image.filter), image);
  const seen = await only(pack, eye, 'image_features', {
    pixel_values: { type: 'float32', data, dims: [1, 3, size.height, size.width] },
  });
  const [embedder, encoder, decoder] = await openVisionNetworks(run, pack, [
    'embed_tokens.onnx',
    'encoder_model.onnx',
    'decoder_model_merged.onnx',
  ]);
  if (!embedder || !encoder || !decoder) throw damaged(pack);
  const embed = (ids: readonly number[]) =>
    only(pack, embedder, 'inputs_embeds', {
      input_ids: { type: 'int64', data: BigInt64Array.from(ids, BigInt), dims: [1, ids.length] },
    });
  const read = join(seen, await embed(tokenizer.encode(QUESTIONS[extent]).ids));
  const length = read.dims[1] ?? 0;
  const states = await only(pack, encoder, 'last_hidden_state', {
    inputs_embeds: { type: 'float32', ...read },
    attention_mask: { type: 'int64', data: new BigInt64Array(length).fill(1n), dims: [1, length] },
  });
  return writeCaption(run, createDecoder(decoder, states, embed), config, maxTokens);
}

/** One output of a network. @throws AppError `integrity_failed` where there is none */
async function only(
  pack: AddOnPack,
  session: Session,
  output: string,
  inputs: Readonly<Record<string, TensorValue>>,
): Promise<FloatTensor> {
  const { [output]: found } = await session.run(inputs);
  if (found) return found;
  throw damaged(pack);
}

/** One after the other, [1, tokens, width] both. */
function join(a: FloatTensor, b: FloatTensor): FloatTensor {
  const data = new Float32Array(a.data.length + b.data.length);
  data.set(a.data);
  data.set(b.data, a.data.length);
  return { data, dims: [1, (a.dims[1] ?? 0) + (b.dims[1] ?? 0), a.dims[2] ?? 0] };
}

function damaged({ id, title }: AddOnPack): AppError {
  return new AppError('integrity_failed', `${title} is damaged. Install it again.`, {
    detail: { model: id },
  });
}
