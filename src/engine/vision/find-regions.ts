import { findAddOn } from '#engine/stages/resolve/find-pack.ts';
import type { RunContext } from '#engine/stages/run/context.ts';
import { boundsOf, boxMask, clipBox, ellipseMask, type Box } from '#imaging/masks/box.ts';
import { islandsOf } from '#imaging/masks/islands.ts';
import type { Pixels } from '#imaging/pixels.ts';
import type { FaceFinder, Finder, TextFinder } from '#protocol/finder.ts';
import { findFaces } from './find-faces.ts';
import { findNamed } from './find-named.ts';
import { findPerson } from './find-person.ts';
import { findSalient } from './find-salient.ts';
import { segmentAt, segmentBox } from './segment-anything.ts';

/** Something that was found in an image. */
export interface FoundRegion {
  /** Within the image. */
  box: Box;
  /** 0 … 1: how certain it is. */
  score: number;
  /** Grey, as large as the image: white where it is. */
  mask: Pixels;
}

type Find<F extends Finder> = (run: RunContext, finder: F, pixels: Pixels) => Promise<FoundRegion[]>;

/** What finds each kind of thing. */
const finders: { readonly [Kind in Finder['kind']]: Find<Extract<Finder, { kind: Kind }>> } = {
  everything(_, __, pixels) {
    const box = { left: 0, top: 0, right: pixels.width, bottom: pixels.height };
    return Promise.resolve([{ box, score: 1, mask: boxMask(pixels, box) }]);
  },
  faces: async (run, finder, pixels) => faceRegions(finder, pixels, await findFaces(run, pixels)),
  async person(run, { shape }, pixels) {
    const people = islandsOf(await findPerson(run, pixels));
    return shape === 'box' ? people.map((each) => ({ ...each, mask: boxMask(pixels, each.box) })) : people;
  },
  async salient(run, { model }, pixels) {
    const mask = await findSalient(run, findAddOn(run, 'finder', model), pixels);
    return mask ? regionOf(mask, 1) : [];
  },
  async points(run, { model, points }, pixels) {
    const { mask, score } = await segmentAt(run, findAddOn(run, 'finder', model), pixels, points);
    return regionOf(mask, score);
  },
  text: namedRegions,
};

/**
 * Looks for what a finder names. None found is no failure.
 * @param pixels RGB
 * @returns regions in the order of the finder, and no more than it asks for
 * @throws AppError `model_not_found` for a finder whose pack is not installed, and what the runtime throws
 */
export async function findRegions(run: RunContext, finder: Finder, pixels: Pixels): Promise<FoundRegion[]> {
  // The table has each finder under its own kind.
  const find = finders[finder.kind] as unknown as Find<Finder>;
  const regions = await find(run, finder, pixels);
  return finder.max === undefined ? regions : regions.slice(0, finder.max);
}

function faceRegions(
  { threshold = 0, shape = 'box' }: FaceFinder,
  pixels: Pixels,
  faces: readonly { box: Box; score: number }[],
): FoundRegion[] {
  const maskOf = shape === 'box' ? boxMask : ellipseMask;
  return faces
    .filter(({ score }) => score >= threshold)
    .sort((a, b) => b.score - a.score)
    .map(({ box: whole, score }) => {
      const box = clipBox(whole, pixels);
      return { box, score, mask: maskOf(pixels, box) };
    });
}

/** What words name, in rectangles or outlined. */
async function namedRegions(run: RunContext, finder: TextFinder, pixels: Pixels): Promise<FoundRegion[]> {
  const { model, segmenter, grow = 0, max } = finder;
  const things = await findNamed(run, findAddOn(run, 'finder', model), pixels, finder);
  const regions: FoundRegion[] = [];
  for (const { box: found, score } of things.slice(0, max)) {
    if (run.stop.cancelled) break;
    const box = clipBox(growBy(found, grow), pixels);
    if (segmenter === undefined) regions.push(...regionOf(boxMask(pixels, box), score));
    else {
      const { mask } = await segmentBox(run, findAddOn(run, 'finder', segmenter), pixels, box);
      regions.push(...regionOf(mask, score));
    }
  }
  return regions;
}

function growBy({ left, top, right, bottom }: Box, pixels: number): Box {
  return { left: left - pixels, top: top - pixels, right: right + pixels, bottom: bottom + pixels };
}

/** All that is in a mask; none where that is nothing. */
function regionOf(mask: Pixels, score: number): FoundRegion[] {
  const box = boundsOf(mask);
  return box ? [{ box, score, mask }] : [];
}
