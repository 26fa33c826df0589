import type { Session } from '#engine/runtime/runtime.ts';
import { findAddOn } from '#engine/stages/resolve/find-pack.ts';
import type { RunContext } from '#engine/stages/run/context.ts';
import { openVisionNetwork } from '#engine/vision/open-network.ts';
import { resizeImage } from '#imaging/a1111/resize.ts';
import { resize } from '#imaging/pillow/resize.ts';
import { swapRedAndBlue, type Pixels } from '#imaging/pixels.ts';
import type { TaggerDescriber } from '#protocol/describer.ts';
import { AppError } from '#protocol/error.ts';
import type { TextArtifact } from '#protocol/job.ts';
import type { AddOnPack } from '#protocol/model.ts';
import { padToSquare } from './square.ts';
import { readTagCsv, readTagLines, type TagName } from './tag-names.ts';
import { writeTags } from './tag-text.ts';

/** How the networks of a kind see an image, and where their tags are. */
interface TaggerLayout {
  file: string;
  read: (text: string) => TagName[];
  /** Samples of a square, pixel after pixel. @param pixels RGB */
  prepare: (pixels: Pixels, side: number) => Float32Array;
}

/** Tags of less certainty are not worth keeping in the record. */
const LEAST_SCORE = 0.05;

const layouts: Readonly<Record<string, TaggerLayout>> = {
  /** SmilingWolf's WD taggers: on a white square, blue first, 0 … 255 (the space SmilingWolf/wd-tagger, app.py). */
  'wd-tagger': {
    file: 'selected_tags.csv',
    read: readTagCsv,
    prepare: (pixels, side) =>
      Float32Array.from(
        swapRedAndBlue(resize(padToSquare(pixels), { width: side, height: side }, 'bicubic')).data,
      ),
  },
  /** DeepDanbooru: A1111's "resize and fill", red first, 0 … 1 (A1111, modules/deepbooru.py). */
  deepdanbooru: {
    file: 'tags.txt',
    read: readTagLines,
    prepare: (pixels, side) =>
      Float32Array.from(resizeImage(2, pixels, { width: side, height: side }).data, (sample) => sample / 255),
  },
};

/**
 * Describes an image by the tags of an installed tagger. Ratings are no part of it.
 * @param pixels RGB
 * @throws AppError `model_not_found` where it is not installed, `unsupported_feature` where its network and its list of tags do not
 *   fit, and what the runtime throws
 */
export async function describeByTagger(
  run: RunContext,
  { describer, pixels }: { describer: TaggerDescriber; pixels: Pixels },
): Promise<Omit<TextArtifact, 'kind'>> {
  const pack = findAddOn(run, 'tagger', describer.model);
  const layout = layouts[pack.network ?? ''];
  if (!layout) throw misfit(pack, 'is a tagger of an unknown make.');
  const names = layout.read(await (await run.addOns.files(pack).read(layout.file)).text());
  if (names.some(({ name }) => name === ''))
    throw misfit(pack, `has no names for its tags in ${layout.file}.`);
  const session = await openVisionNetwork(run, pack);
  run.progress.describing();
  const scores = await runTagger(pack, session, layout, pixels);
  if (scores.length !== names.length)
    throw misfit(pack, `has ${scores.length} outputs for the ${names.length} tags of its list.`);
  const tags = names
    .map(({ name, category }, index) => ({ name, category, score: scores[index] ?? 0 }))
    .filter(({ category, score }) => category !== 'rating' && score >= LEAST_SCORE)
    .map(({ name, score }) => ({ name, score }))
    .sort((a, b) => b.score - a.score);
  return { text: writeTags(tags, describer.rules), tags, describer: pack.id };
}

async function runTagger(
  pack: AddOnPack,
  session: Session,
  { prepare }: TaggerLayout,
  pixels: Pixels,
): Promise<Float32Array> {
  const [input = ''] = session.inputNames;
  const [output = ''] = session.outputNames;
  const [, height, width, channels] = session.inputDims(input);
  if (typeof height !== 'number' || height !== width || channels !== 3)
    throw misfit(pack, 'does not take square images in color.');
  const outputs = await session.run({
    [input]: { type: 'float32', data: prepare(pixels, height), dims: [1, height, width, channels] },
  });
  return outputs[output]?.data ?? new Float32Array();
}

function misfit({ id, title }: AddOnPack, problem: string): AppError {
  return new AppError('unsupported_feature', `${title} ${problem} Choose another tagger.`, {
    detail: { model: id },
  });
}
