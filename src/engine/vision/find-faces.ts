import type { Session } from '#engine/runtime/runtime.ts';
import { findAddOn } from '#engine/stages/resolve/find-pack.ts';
import type { RunContext } from '#engine/stages/run/context.ts';
import { overlap, type Box } from '#imaging/masks/box.ts';
import { toRgbOnWhite, type Pixels } from '#imaging/pixels.ts';
import { INCLUDED } from '#protocol/included.ts';
import {
  decodeFaces,
  FULL_RANGE,
  joinFaces,
  SAME_FACE,
  SHORT_RANGE,
  type Face,
  type FaceAnchors,
} from './decode-faces.ts';
import { openVisionNetworks } from './open-network.ts';
import { joinViews, viewSquare, type SquareView } from './square-view.ts';

/** Of faces that are worth a second look, and of those that are returned. */
const LEAST_SCORE = 0.5;

/** The network misses faces below 6 % of the side that it sees: images are searched in finer tiles, one more for so many pixels. */
const PIXELS_PER_TILE = 384;

/** Tiles of a side at most. In an image of 4096 pixels faces are found from about 80 pixels on. */
const MOST_TILES = 4;

/** Of a tile's side: what it shares with its neighbour. */
const TILE_OVERLAP = 0.25;

/** The square that is looked at again, in sides of the face's box. */
const CLOSE_VIEW = 2;

/** Views in one run of a network. */
const BATCH = 16;

/**
 * Finds faces of many sizes: in the whole image and in ever finer tiles, each confirmed by a second network that looks at it
 * alone and knows better where it is.
 * @param pixels of any channels; alpha counts as white
 * @returns the most certain first; boxes and points may reach a little beyond the image
 * @throws AppError `model_not_found` where the finder is not installed, and what the runtime throws
 */
export async function findFaces(run: RunContext, pixels: Pixels): Promise<Face[]> {
  const pack = findAddOn(run, INCLUDED.faces.kind, INCLUDED.faces.id);
  const [detector, refiner] = await openVisionNetworks(run, pack, ['face-detector.onnx', 'face-refine.onnx']);
  if (!detector || !refiner) return [];
  const image = toRgbOnWhite(pixels);
  const found: Face[] = [];
  const finest = Math.min(Math.ceil(Math.max(image.width, image.height) / PIXELS_PER_TILE), MOST_TILES);
  for (let tiles = 1; tiles <= finest; tiles++) found.push(...(await searchTiles(detector, image, tiles)));
  return joinFaces(await confirm(refiner, image, joinFaces(found)));
}

async function searchTiles(detector: Session, image: Pixels, tiles: number): Promise<Face[]> {
  const regions = tilesOf(image, tiles);
  const seen = await look(detector, image, regions, FULL_RANGE);
  // A face that a tile cuts is whole in its neighbour or in larger tiles.
  return regions.flatMap((region, index) =>
    (seen[index] ?? []).filter(({ box }) => !crossesInnerEdge(box, region, image)),
  );
}

/** So many equal rectangles across and down. */
function tilesOf({ width, height }: Pixels, tiles: number): Box[] {
  const part = 1 / (1 + (tiles - 1) * (1 - TILE_OVERLAP));
  const starts = Array.from({ length: tiles }, (_, index) => index * (1 - TILE_OVERLAP) * part);
  return starts.flatMap((top) =>
    starts.map((left) => ({
      left: left * width,
      top: top * height,
      right: Math.min(left + part, 1) * width,
      bottom: Math.min(top + part, 1) * height,
    })),
  );
}

function crossesInnerEdge(box: Box, tile: Box, { width, height }: Pixels): boolean {
  // Sides of tiles are sums of fractions.
  const isInner = (edge: number, end: number) => edge > 1e-6 && edge < end - 1e-6;
  return (
    (isInner(tile.left, width) && box.left < tile.left) ||
    (isInner(tile.top, height) && box.top < tile.top) ||
    (isInner(tile.right, width) && box.right > tile.right) ||
    (isInner(tile.bottom, height) && box.bottom > tile.bottom)
  );
}

/** The faces that are still one when looked at closely, as they are seen there. */
async function confirm(refiner: Session, image: Pixels, faces: readonly Face[]): Promise<Face[]> {
  const seen = await look(
    refiner,
    image,
    faces.map(({ box }) => squareAround(box)),
    SHORT_RANGE,
  );
  return faces.flatMap(({ box }, index) => {
    const same = (seen[index] ?? [])
      .map((face) => ({ face, shared: overlap(face.box, box) }))
      .filter(({ shared }) => shared > SAME_FACE)
      .sort((a, b) => b.shared * b.face.score - a.shared * a.face.score);
    return same[0]?.face ?? [];
  });
}

function squareAround({ left, top, right, bottom }: Box): Box {
  const half = (CLOSE_VIEW * Math.max(right - left, bottom - top)) / 2;
  const [x, y] = [(left + right) / 2, (top + bottom) / 2];
  return { left: x - half, top: y - half, right: x + half, bottom: y + half };
}

/** The faces of each region, in pixels of the image. */
async function look(
  session: Session,
  image: Pixels,
  regions: readonly Box[],
  anchors: FaceAnchors,
): Promise<Face[][]> {
  const seen: Face[][] = [];
  for (let from = 0; from < regions.length; from += BATCH) {
    const views = regions.slice(from, from + BATCH).map((region) => viewSquare(image, region, anchors.side));
    const { boxes, logits } = await session.run({ image: joinViews(views, anchors.side) });
    const rows = (logits?.data.length ?? 0) / views.length;
    views.forEach((view, index) => {
      const [start, end] = [index * rows, (index + 1) * rows];
      const faces = decodeFaces(
        (boxes?.data ?? new Float32Array(0)).subarray(start * 16, end * 16),
        (logits?.data ?? new Float32Array(0)).subarray(start, end),
        anchors,
        LEAST_SCORE,
      );
      seen.push(joinFaces(faces).map((face) => onImage(face, view)));
    });
  }
  return seen;
}

function onImage({ box, score, points }: Face, { toImage }: SquareView): Face {
  const { x: left, y: top } = toImage({ x: box.left, y: box.top });
  const { x: right, y: bottom } = toImage({ x: box.right, y: box.bottom });
  return { box: { left, top, right, bottom }, score, points: points.map(toImage) };
}
