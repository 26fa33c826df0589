import { openVisionNetworks } from '#engine/vision/open-network.ts';
import { toInput } from '#engine/vision/image-network.ts';
import { likeliestToken } from '#engine/text/choose-token.ts';
import { createDecoder } from '#engine/text/text-decoder.ts';
import { decodeTokens } from '#engine/tokenizers/hub.ts';
import { findAddOn } from '#engine/stages/resolve/find-pack.ts';
import { yieldToEvents } from '#engine/stages/run/yield-to-events.ts';
import type { RunContext } from '#engine/stages/run/context.ts';
import { resize } from '#imaging/pillow/resize.ts';
import type { Pixels } from '#imaging/pixels.ts';
import type { CaptionerDescriber } from '#protocol/describer.ts';
import { AppError } from '#protocol/error.ts';
import type { TextArtifact } from '#protocol/job.ts';
import { readCaptionConfig } from './caption-config.ts';

/** The network that this is written for: see library/offers/onnx-kinds.ts. */
const NETWORK = 'vision-encoder-decoder';

/**
 * Describes an image in a sentence: an image encoder, and a text decoder that reads what it saw, one token after the other, each
 * the likeliest. As transformers' VisionEncoderDecoderModel with greedy search.
 * @param pixels RGB
 * @throws AppError `model_not_found` where it is not installed, `unsupported_feature` for a model of another make,
 *   `integrity_failed` for a damaged one, and what the runtime throws
 */
export async function describeByCaptioner(
  run: RunContext,
  { describer, pixels }: { describer: CaptionerDescriber; pixels: Pixels },
): Promise<Omit<TextArtifact, 'kind'>> {
  const pack = findAddOn(run, 'captioner', describer.model);
  if (pack.network !== NETWORK) {
    throw new AppError(
      'unsupported_feature',
      `${pack.title} is a caption model of an unknown make. Choose another one.`,
      { detail: { model: pack.id } },
    );
  }
  const { size, normalisation, filter, startId, endId, tokenizer } = await readCaptionConfig(
    pack,
    run.addOns.files(pack),
  );
  const [encoder, decoder] = await openVisionNetworks(run, pack, [
    'encoder_model.onnx',
    'decoder_model_merged.onnx',
  ]);
  run.progress.describing();
  const { data, channels, height, width } = toInput(resize(pixels, size, filter), normalisation);
  const encoded = await encoder?.run({
    pixel_values: { type: 'float32', data, dims: [1, channels, height, width] },
  });
  const states = encoded?.['last_hidden_state'];
  if (!states || !decoder)
    throw new AppError('integrity_failed', `${pack.title} is damaged. Install it again.`);

  const read = createDecoder(decoder, states);
  const ids: number[] = [];
  for (let id = startId; ids.length < describer.maxTokens && !run.stop.cancelled;) {
    id = likeliestToken(await read([id]));
    if (id === endId) break;
    ids.push(id);
    await yieldToEvents();
  }
  return { text: decodeTokens(tokenizer, ids).trim(), tags: [], describer: pack.id };
}
