import { overlap, type Box } from '#imaging/masks/box.ts';
import { sigmoid } from './sigmoid.ts';
import type { Point } from './square-view.ts';

/** A face that was found. */
export interface Face {
  box: Box;
  /** 0 … 1: how certain it is. */
  score: number;
  /** The person's right eye, left eye, tip of the nose, middle of the mouth, right ear and left ear. */
  points: readonly Point[];
}

/** The grids over a network's square that its faces are counted from: cells of a side, and faces of a cell. */
export interface FaceAnchors {
  /** Pixels of the square's side. */
  side: number;
  grids: readonly { cells: number; faces: number }[];
}

/** MediaPipe's face_detection_full_range.tflite and its short-range one. Source: mediapipe/modules/face_detection. */
export const FULL_RANGE: FaceAnchors = { side: 192, grids: [{ cells: 48, faces: 1 }] };
export const SHORT_RANGE: FaceAnchors = {
  side: 128,
  grids: [
    { cells: 16, faces: 2 },
    { cells: 8, faces: 6 },
  ],
};

/** Numbers of a face: middle, width and height of its box, and the points. */
const NUMBERS = 16;

const POINTS = 6;

/**
 * The faces of one square, in 0 … 1 of its sides, as they come from the network: several for each that is there.
 * @param boxes [faces, 16]: in pixels, from the middle of a cell
 * @param logits [faces]
 * @param leastScore of the faces that are returned
 * Source: MediaPipe, calculators/tflite/tflite_tensors_to_detections_calculator.cc.
 */
export function decodeFaces(
  boxes: Float32Array,
  logits: Float32Array,
  { side, grids }: FaceAnchors,
  leastScore: number,
): Face[] {
  const found: Face[] = [];
  let row = 0;
  for (const { cells, faces } of grids) {
    for (let index = 0; index < cells * cells * faces; index++, row++) {
      const score = sigmoid(logits[row] ?? 0);
      if (!(score >= leastScore)) continue;
      const cell = Math.floor(index / faces);
      const anchor = { x: ((cell % cells) + 0.5) / cells, y: (Math.floor(cell / cells) + 0.5) / cells };
      found.push({ score, ...decodeFace(boxes.subarray(row * NUMBERS, (row + 1) * NUMBERS), anchor, side) });
    }
  }
  return found;
}

function decodeFace(numbers: Float32Array, anchor: Point, side: number): Omit<Face, 'score'> {
  const pointAt = (index: number): Point => ({
    x: (numbers[index] ?? 0) / side + anchor.x,
    y: (numbers[index + 1] ?? 0) / side + anchor.y,
  });
  const centre = pointAt(0);
  const [halfWidth, halfHeight] = [(numbers[2] ?? 0) / side / 2, (numbers[3] ?? 0) / side / 2];
  return {
    box: {
      left: centre.x - halfWidth,
      right: centre.x + halfWidth,
      top: centre.y - halfHeight,
      bottom: centre.y + halfHeight,
    },
    points: Array.from({ length: POINTS }, (_, index) => pointAt(4 + 2 * index)),
  };
}

/** Faces that overlap by more than this are the same one. */
export const SAME_FACE = 0.3;

/**
 * One face for each that is there, the most certain first: its box and points are the mean of all that overlap with the most
 * certain one, by their scores. Source: MediaPipe, calculators/util/non_max_suppression_calculator.cc, `WEIGHTED`.
 */
export function joinFaces(faces: readonly Face[]): Face[] {
  const joined: Face[] = [];
  let rest = faces.toSorted((a, b) => b.score - a.score);
  for (let [best] = rest; best; [best] = rest) {
    const { box, score } = best;
    const same = rest.filter((face) => face === best || overlap(face.box, box) > SAME_FACE);
    joined.push({ ...meanOf(same), score });
    rest = rest.filter((face) => !same.includes(face));
  }
  return joined;
}

function meanOf(faces: readonly Face[]): Omit<Face, 'score'> {
  const whole = faces.reduce((sum, { score }) => sum + score, 0);
  const mean = (numberOf: (face: Face) => number) =>
    faces.reduce((sum, face) => sum + numberOf(face) * face.score, 0) / whole;
  return {
    box: {
      left: mean(({ box }) => box.left),
      top: mean(({ box }) => box.top),
      right: mean(({ box }) => box.right),
      bottom: mean(({ box }) => box.bottom),
    },
    points: Array.from({ length: POINTS }, (_, index) => ({
      x: mean(({ points }) => points[index]?.x ?? 0),
      y: mean(({ points }) => points[index]?.y ?? 0),
    })),
  };
}
