import type { Session } from '#engine/runtime/runtime.ts';
import { findAddOn } from '#engine/stages/resolve/find-pack.ts';
import type { RunContext } from '#engine/stages/run/context.ts';
import { overlap, type Box } from '#imaging/masks/box.ts';
import { toRgbOnWhite, type Pixels } from '#imaging/pixels.ts';
import { INCLUDED } from '#protocol/included.ts';
import { closerView, decodePose, poseBox, poseScore, type Keypoint } from './decode-pose.ts';
import { findFaces } from './find-faces.ts';
import { openVisionNetwork } from './open-network.ts';
import { joinViews, viewSquare } from './square-view.ts';

const SIDE = 192;

/** Bodies in one run of the network. */
const BATCH = 16;

/** A body with fewer certain points is none. */
const LEAST_POINTS = 3;
const CERTAIN = 0.3;

/** Poses whose rectangles overlap by more than this are of one person. */
const SAME_PERSON = 0.5;

/** Of a face's height: how large the square is that shows the whole body, and how far its middle is below the face's. */
const BODY = { side: 8, below: 3 };

/**
 * The pose of one person, the one nearest to the middle.
 * @param pixels of any channels; alpha counts as white
 * @returns 17 points in the order of POSE_POINTS, some of them perhaps with next to no score
 * @throws AppError `model_not_found` where the network is not installed, and what the runtime throws
 */
export async function findPose(run: RunContext, pixels: Pixels): Promise<Keypoint[]> {
  const image = toRgbOnWhite(pixels);
  const session = await openPose(run);
  const [pose = []] = await lookTwice(session, image, [wholeOf(image)]);
  return pose;
}

/**
 * The poses of all people: one for each face, and that of the person nearest to the middle. The most certain first.
 * @param pixels of any channels; alpha counts as white
 * @throws AppError `model_not_found` where the networks are not installed, and what the runtime throws
 */
export async function findPoses(run: RunContext, pixels: Pixels): Promise<Keypoint[][]> {
  const image = toRgbOnWhite(pixels);
  const faces = await findFaces(run, image);
  const session = await openPose(run);
  const poses = await lookTwice(session, image, [wholeOf(image), ...faces.map(({ box }) => bodyOf(box))]);
  return onePerPerson(poses.filter(isBody));
}

function openPose(run: RunContext): Promise<Session> {
  return openVisionNetwork(run, findAddOn(run, INCLUDED.pose.kind, INCLUDED.pose.id));
}

function wholeOf({ width, height }: Pixels): Box {
  return { left: 0, top: 0, right: width, bottom: height };
}

function bodyOf({ left, top, right, bottom }: Box): Box {
  const height = bottom - top;
  const half = (BODY.side * height) / 2;
  const [x, y] = [(left + right) / 2, (top + bottom) / 2 + BODY.below * height];
  return { left: x - half, top: y - half, right: x + half, bottom: y + half };
}

function isBody(pose: readonly Keypoint[]): boolean {
  return pose.filter(({ score }) => score > CERTAIN).length >= LEAST_POINTS;
}

function onePerPerson(poses: readonly Keypoint[][]): Keypoint[][] {
  const people: { pose: Keypoint[]; box: Box }[] = [];
  for (const pose of poses.toSorted((a, b) => poseScore(b) - poseScore(a))) {
    const box = poseBox(pose);
    if (box && people.every((person) => overlap(person.box, box) <= SAME_PERSON)) people.push({ pose, box });
  }
  return people.map(({ pose }) => pose);
}

/** Looks at each region, and then closer at the body in it, where that makes it more certain. */
async function lookTwice(session: Session, image: Pixels, regions: readonly Box[]): Promise<Keypoint[][]> {
  const poses = await look(session, image, regions);
  const closer = poses.map((pose) => closerView(pose, image));
  const again = await look(
    session,
    image,
    closer.flatMap((view) => view ?? []),
  );
  let next = 0;
  return poses.map((pose, index) => {
    const better = closer[index] ? again[next++] : undefined;
    return better && poseScore(better) >= poseScore(pose) ? better : pose;
  });
}

async function look(session: Session, image: Pixels, regions: readonly Box[]): Promise<Keypoint[][]> {
  const poses: Keypoint[][] = [];
  for (let from = 0; from < regions.length; from += BATCH) {
    const views = regions.slice(from, from + BATCH).map((region) => viewSquare(image, region, SIDE));
    const { keypoints } = await session.run({ image: joinViews(views, SIDE) });
    const numbers = keypoints?.data ?? new Float32Array(0);
    const each = numbers.length / views.length;
    views.forEach(({ toImage }, index) =>
      poses.push(decodePose(numbers.subarray(index * each, (index + 1) * each), toImage)),
    );
  }
  return poses;
}
