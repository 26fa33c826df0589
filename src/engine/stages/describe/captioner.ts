import { findAddOn } from '#engine/stages/resolve/find-pack.ts';
import type { RunContext } from '#engine/stages/run/context.ts';
import type { Pixels } from '#imaging/pixels.ts';
import type { CaptionerDescriber } from '#protocol/describer.ts';
import { AppError } from '#protocol/error.ts';
import type { TextArtifact } from '#protocol/job.ts';
import type { AddOnPack } from '#protocol/model.ts';
import { captionByFlorence } from './florence.ts';
import { captionByVisionDecoder } from './vision-decoder.ts';

type Caption = (
  run: RunContext,
  pack: AddOnPack,
  pixels: Pixels,
  describer: CaptionerDescriber,
) => Promise<string>;

/** What runs each network; named as in library/offers/onnx-kinds.ts. */
const NETWORKS: Readonly<Record<string, Caption>> = {
  'vision-encoder-decoder': captionByVisionDecoder,
  florence2: captionByFlorence,
};

/**
 * Describes an image by an installed caption model.
 * @param pixels RGB
 * @throws AppError `model_not_found` where it is not installed, `unsupported_feature` for a model of another make,
 *   `integrity_failed` for a damaged one, and what the runtime throws
 */
export async function describeByCaptioner(
  run: RunContext,
  { describer, pixels }: { describer: CaptionerDescriber; pixels: Pixels },
): Promise<Omit<TextArtifact, 'kind'>> {
  const pack = findAddOn(run, 'captioner', describer.model);
  const caption = NETWORKS[pack.network ?? ''];
  if (!caption) {
    throw new AppError(
      'unsupported_feature',
      `${pack.title} is a caption model of an unknown make. Choose another one.`,
      { detail: { model: pack.id } },
    );
  }
  return { text: await caption(run, pack, pixels, describer), tags: [], describer: pack.id };
}
