import { warpAffine } from '#imaging/opencv/warp-affine.ts';
import type { Pixels } from '#imaging/pixels.ts';
import { estimateSimilarity, invertSimilarity, type Point, type Similarity } from './similarity.ts';

/** Pixels on a side of an aligned face. */
export const FACE_SIDE = 512;

/**
 * Where eyes, nose and the corners of the mouth are in an aligned face, from left to right: FFHQ's mean face. Source:
 * facexlib, utils/face_restoration_helper.py, `FaceRestoreHelper.face_template`.
 */
const TEMPLATE: readonly Point[] = [
  { x: 192.98138, y: 239.94708 },
  { x: 318.90277, y: 240.1936 },
  { x: 256.63416, y: 314.01935 },
  { x: 201.26117, y: 371.41043 },
  { x: 313.08905, y: 371.15118 },
];

/** Half the width of a mouth, in distances of the eyes. */
const MOUTH_SHARE = 0.41;

/** Around the image: facexlib's grey, in RGB. */
const BORDER = [132, 133, 135] as const;

/** A face upright, in RGB, and how its places lie in the image. */
export interface AlignedFace {
  /** {@link FACE_SIDE} pixels on each side. */
  face: Pixels;
  toImage: Similarity;
}

/**
 * Cuts a face out, turned and scaled so that eyes, nose and mouth are where restoring networks expect them.
 * Source: facexlib, `FaceRestoreHelper.align_warp_face`; there the similarity is the one with the least median of distances.
 * @param image RGB
 * @param points the face's, in MediaPipe's order: the eye on the left of the image, the one on the right, nose, middle of the
 *   mouth
 */
export function alignFace(image: Pixels, points: readonly Point[]): AlignedFace {
  const toImage = invertSimilarity(estimateSimilarity(fivePoints(points), TEMPLATE));
  const { a, b, dx, dy } = toImage;
  const size = { width: FACE_SIDE, height: FACE_SIDE };
  return { face: warpAffine(image, [a, -b, dx, b, a, dy], size, BORDER), toImage };
}

/** With the corners of the mouth, which the detector does not find. */
function fivePoints([left, right, nose, mouth]: readonly Point[]): Point[] {
  if (!left || !right || !nose || !mouth) return [];
  const half = { x: MOUTH_SHARE * (right.x - left.x), y: MOUTH_SHARE * (right.y - left.y) };
  return [
    left,
    right,
    nose,
    { x: mouth.x - half.x, y: mouth.y - half.y },
    { x: mouth.x + half.x, y: mouth.y + half.y },
  ];
}
