import { gaussianBlurFloat, kernelOfSize } from '#imaging/opencv/gaussian-blur.ts';
import { erodeBySquare } from '#imaging/opencv/square-morphology.ts';
import { warpAffine, warpAffineFloat, type AffineMatrix } from '#imaging/opencv/warp-affine.ts';
import { createFloatPixels, type Pixels, type Region } from '#imaging/pixels.ts';
import { FACE_SIDE } from './align-face.ts';
import { invertSimilarity, transform, type Similarity } from './similarity.ts';

/** A part in this many of a face's side is one edge; the mask ends two edges within it, and fades over one. */
const EDGES = 20;

/**
 * Puts a restored face back where it was, through a mask with soft edges. Source: facexlib,
 * utils/face_restoration_helper.py, `paste_faces_to_input_image` without its parsing network, at the image's own size.
 * @param image RGB
 * @param face RGB, aligned
 * @param toImage how places of the face lie in the image
 */
export function pasteFace(image: Pixels, face: Pixels, toImage: Similarity): Pixels {
  const region = regionOf(image, toImage);
  const size = { width: region.x2 - region.x1, height: region.y2 - region.y1 };
  if (size.width <= 0 || size.height <= 0) return image;
  const { a, b, dx, dy } = invertSimilarity(toImage);
  const toFace: AffineMatrix = [
    a,
    -b,
    a * region.x1 - b * region.y1 + dx,
    b,
    a,
    b * region.x1 + a * region.y1 + dy,
  ];
  const white = createFloatPixels({ width: FACE_SIDE, height: FACE_SIDE }, 1);
  white.data.fill(1);
  // A line of pixels less, since the face's own border is mixed with black there.
  const inner = erodeBySquare(warpAffineFloat(white, toFace, size, [0]), 2);
  const warped = warpAffine(face, toFace, size, [0, 0, 0]);
  const edge = Math.floor(Math.floor(Math.sqrt(inner.data.reduce((sum, value) => sum + value, 0))) / EDGES);
  const center = edge > 0 ? erodeBySquare(inner, 2 * edge) : inner;
  const soft = gaussianBlurFloat(center, kernelOfSize(2 * edge + 1));

  const data = image.data.slice();
  for (let i = 0; i < soft.data.length; i++) {
    const share = soft.data[i] ?? 0;
    if (share === 0) continue;
    const x = region.x1 + (i % size.width);
    const y = region.y1 + Math.floor(i / size.width);
    for (let channel = 0; channel < 3; channel++) {
      const at = (y * image.width + x) * 3 + channel;
      const pasted = (inner.data[i] ?? 0) * (warped.data[i * 3 + channel] ?? 0);
      data[at] = Math.trunc(share * pasted + (1 - share) * (data[at] ?? 0));
    }
  }
  return { ...image, data };
}

/** The rectangle of the image around a face's square, with a pixel more on each side. */
function regionOf({ width, height }: Pixels, toImage: Similarity): Region {
  const corners = [0, FACE_SIDE].flatMap((x) => [0, FACE_SIDE].map((y) => transform(toImage, { x, y })));
  const [xs, ys] = [corners.map(({ x }) => x), corners.map(({ y }) => y)];
  return {
    x1: Math.max(0, Math.floor(Math.min(...xs)) - 1),
    y1: Math.max(0, Math.floor(Math.min(...ys)) - 1),
    x2: Math.min(width, Math.ceil(Math.max(...xs)) + 2),
    y2: Math.min(height, Math.ceil(Math.max(...ys)) + 2),
  };
}
