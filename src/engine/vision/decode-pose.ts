import type { Box } from '#imaging/masks/box.ts';
import type { Size } from '#protocol/job.ts';
import type { Point } from './square-view.ts';

/** A point of a body, in pixels of the image. */
export interface Keypoint extends Point {
  /** 0 … 1: how certain it is; what is drawn has more than 0.3. */
  score: number;
}

/** The order of a pose's points, as in COCO; sides are the person's own. */
const POSE_POINTS = [
  'nose',
  'left eye',
  'right eye',
  'left ear',
  'right ear',
  'left shoulder',
  'right shoulder',
  'left elbow',
  'right elbow',
  'left wrist',
  'right wrist',
  'left hip',
  'right hip',
  'left knee',
  'right knee',
  'left ankle',
  'right ankle',
] as const;

/** What counts as seen when a body is looked at again. */
const SEEN = 0.2;

const SHOULDERS = [5, 6] as const;
const HIPS = [11, 12] as const;

/** The points of one square as its network gives them: y, x and score of each. @param toImage from 0 … 1 of the square */
export function decodePose(numbers: Float32Array, toImage: (point: Point) => Point): Keypoint[] {
  return POSE_POINTS.map((_, index) => {
    const [y = 0, x = 0, score = 0] = numbers.subarray(index * 3, index * 3 + 3);
    return { ...toImage({ x, y }), score };
  });
}

/** How certain a pose is as a whole. */
export function poseScore(pose: readonly Keypoint[]): number {
  return pose.reduce((sum, { score }) => sum + score, 0) / pose.length;
}

/** The square around a body that shows its points best; null where its torso is not seen, or where that is the whole image.
 * Source: TensorFlow's MoveNet tutorial, `determine_crop_region`. */
export function closerView(pose: readonly Keypoint[], image: Size): Box | null {
  const seen = (indices: readonly number[]) => indices.some((index) => (pose[index]?.score ?? 0) > SEEN);
  const hips = HIPS.flatMap((index) => pose[index] ?? []);
  if (!seen(SHOULDERS) || !seen(HIPS)) return null;
  const centre = {
    x: hips.reduce((sum, { x }) => sum + x, 0) / hips.length,
    y: hips.reduce((sum, { y }) => sum + y, 0) / hips.length,
  };
  const reach = (points: readonly Keypoint[]) =>
    Math.max(...points.map(({ x, y }) => Math.max(Math.abs(x - centre.x), Math.abs(y - centre.y))), 0);
  const torso = [...SHOULDERS, ...HIPS].flatMap((index) => pose[index] ?? []);
  const half = Math.min(
    Math.max(1.9 * reach(torso), 1.2 * reach(pose.filter(({ score }) => score > SEEN))),
    Math.max(centre.x, image.width - centre.x, centre.y, image.height - centre.y),
  );
  if (half > Math.max(image.width, image.height) / 2) return null;
  return { left: centre.x - half, top: centre.y - half, right: centre.x + half, bottom: centre.y + half };
}

/** The rectangle around the points of a pose that are seen; null where there are none. */
export function poseBox(pose: readonly Keypoint[], least = SEEN): Box | null {
  const seen = pose.filter(({ score }) => score > least);
  if (seen.length === 0) return null;
  const [xs, ys] = [seen.map(({ x }) => x), seen.map(({ y }) => y)];
  return {
    left: Math.min(...xs),
    top: Math.min(...ys),
    right: Math.max(...xs),
    bottom: Math.max(...ys),
  };
}
