import type { RunContext } from '#engine/stages/run/context.ts';
import { FACE_SIDE } from '#imaging/faces/align-face.ts';
import { signedPlanes } from '#imaging/a1111/img2img-result.ts';
import { createPixels, type Pixels } from '#imaging/pixels.ts';
import { AppError } from '#protocol/error.ts';
import type { AddOnPack } from '#protocol/model.ts';
import { openVisionNetwork } from './open-network.ts';

/** CodeFormer's middle way between quality and likeness, and A1111's default. */
const DEFAULT_WEIGHT = 0.5;

/** Restores an aligned face in RGB. @param weight for networks that ask: 0 (the strongest effect) … 1 (the most faithful) */
export type RestoreFace = (face: Pixels, weight?: number) => Promise<Pixels>;

/**
 * Opens an imported GFPGAN or CodeFormer: a face as float32 [1, 3, 512, 512] in −1 … 1, and with CodeFormer a weight, to the
 * restored face in the same form, the first of its outputs.
 * @throws AppError `unsupported_feature` for a network of another form, and what the runtime throws
 */
export async function openFaceRestorer(run: RunContext, pack: AddOnPack): Promise<RestoreFace> {
  const session = await openVisionNetwork(run, pack);
  const [image, weight] = session.inputNames;
  const [output] = session.outputNames;
  if (image === undefined || output === undefined) throw noRestorer(pack);
  return async (face, faithfulness = DEFAULT_WEIGHT) => {
    const { data } = signedPlanes(face);
    const outputs = await session.run({
      [image]: { type: 'float32', data, dims: [1, 3, FACE_SIDE, FACE_SIDE] },
      ...(weight !== undefined && {
        [weight]: {
          type: 'float32',
          data: Float32Array.of(faithfulness),
          dims: session.inputDims(weight).map(() => 1),
        },
      }),
    });
    const restored = outputs[output]?.data;
    if (restored?.length !== data.length) throw noRestorer(pack);
    return toFace(restored);
  };
}

/** Source: GFPGAN and facexlib, `tensor2img` with `min_max=(-1, 1)`: rounded, halves to even. */
function toFace(planes: Float32Array): Pixels {
  const face = createPixels({ width: FACE_SIDE, height: FACE_SIDE }, 3);
  const length = FACE_SIDE * FACE_SIDE;
  for (let i = 0; i < face.data.length; i++) {
    face.data[i] = (((planes[(i % 3) * length + Math.floor(i / 3)] ?? 0) + 1) / 2) * 255;
  }
  return face;
}

function noRestorer(pack: AddOnPack): AppError {
  return new AppError(
    'unsupported_feature',
    `${pack.title} does not turn a face into a face. Choose another face restoration model.`,
    { detail: { model: pack.id } },
  );
}
