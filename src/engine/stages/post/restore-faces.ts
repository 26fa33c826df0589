import { findAddOn } from '#engine/stages/resolve/find-pack.ts';
import { isStopped, type RunContext } from '#engine/stages/run/context.ts';
import { yieldToEvents } from '#engine/stages/run/yield-to-events.ts';
import { findFaces } from '#engine/vision/find-faces.ts';
import { alignFace } from '#imaging/faces/align-face.ts';
import { pasteFace } from '#imaging/faces/paste-face.ts';
import { blend } from '#imaging/pillow/blend.ts';
import { toRgb } from '#imaging/pillow/convert.ts';
import type { RestoreFacesStep } from '#protocol/job.ts';
import { openFaceRestorer } from '#engine/vision/restore-face.ts';
import type { PreparedStep } from './post.ts';

/** Faces whose eyes are nearer to each other, in pixels, are left alone; A1111, modules/face_restoration_utils.py. */
const LEAST_EYE_DISTANCE = 5;

/**
 * Prepares a job's face restoration: each face is cut out upright, restored, and put back through a soft mask.
 * Source: A1111, modules/face_restoration_utils.py, `restore_with_face_helper`.
 * @returns the step: null when it was stopped. Throws AppError `unsupported_feature` for networks that are no face restorers,
 *   and what the runtime throws
 * @throws AppError `model_not_found` for a restorer that is not installed
 */
export function prepareFaceRestoration(run: RunContext, step: RestoreFacesStep): PreparedStep {
  const pack = findAddOn(run, 'face-restorer', step.restorer);
  return async (context, { pixels, index }) => {
    if (step.visibility === 0) return pixels;
    const image = toRgb(pixels);
    const faces = (await findFaces(context, image)).filter(
      ({ points: [left, right] }) =>
        left && right && Math.hypot(right.x - left.x, right.y - left.y) >= LEAST_EYE_DISTANCE,
    );
    if (faces.length === 0) {
      context.note(`Image ${index + 1} stays as it is: no face was found in it.`);
      return pixels;
    }
    context.progress.loading();
    const restore = await openFaceRestorer(context, pack);
    context.progress.restoring(faces.length);
    let restored = image;
    for (const [done, { points }] of faces.entries()) {
      await yieldToEvents();
      if (isStopped(context)) return null;
      const { face, toImage } = alignFace(image, points);
      restored = pasteFace(restored, await restore(face, step.weight), toImage);
      context.progress.tile(done + 1);
    }
    return blend(image, restored, step.visibility);
  };
}
