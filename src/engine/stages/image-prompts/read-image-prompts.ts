import type { ImageTokens } from '#engine/models/image-prompts.ts';
import { isInPass, readRegion } from '#engine/stages/control/control.ts';
import { readImage } from '#engine/stages/pixels/read-image.ts';
import type { RunContext, Stage } from '#engine/stages/run/context.ts';
import { findFaces } from '#engine/vision/find-faces.ts';
import { clipImage } from '#imaging/clip-image.ts';
import { alignFace } from '#imaging/faces/align-face.ts';
import type { Pixels } from '#imaging/pixels.ts';
import type { Planes } from '#imaging/planes.ts';
import type { ImagePromptSpec } from '#protocol/job.ts';
import type { AddOnPack } from '#protocol/model.ts';

/** An image prompt with its packs found. */
export interface PlannedImagePrompt {
  spec: ImagePromptSpec;
  adapter: AddOnPack;
  clipVision: AddOnPack;
}

/** An image as a UNet is shown it. */
export interface ShownImage extends Pick<ImagePromptSpec, 'weight' | 'layerWeights' | 'start' | 'end'> {
  tokens: ImageTokens;
  /** One plane over the image: 1 where it is shown in full … 0 where it is not. */
  region?: Planes;
}

/** The images that go through one IP-Adapter, as many tokens each. */
export interface ShownImages {
  adapter: AddOnPack;
  images: readonly [ShownImage, ...ShownImage[]];
}

/** The image prompts of a job, and the pass they are read for. */
export interface PromptsOfPass {
  prompts: readonly PlannedImagePrompt[];
  passIndex: number;
}

/** What is under transparent parts. */
const WHITE = 255;

/**
 * The images of image prompts as tokens, by IP-Adapter.
 * @throws AppError `invalid_request` for files that are not images, and see {@link ImagePromptNetworks}
 */
export const readImagePrompts: Stage<PromptsOfPass, ShownImages[]> = async (run, { prompts, passIndex }) => {
  const groups: { adapter: AddOnPack; images: [ShownImage, ...ShownImage[]] }[] = [];
  for (const { spec, adapter, clipVision } of prompts) {
    const { image, fit, weight, layerWeights, region, start, end } = spec;
    const isOn = isInPass(spec.passes, passIndex);
    const tokens = await run.imagePrompts.look(
      {
        adapter,
        clipVision,
        imageKey: `${fit} ${await hashOf(image)}`,
        planes: async (side) => {
          const pixels = await readImage(image, WHITE);
          return fit === 'crop'
            ? clipImage(pixels, side, 'crop')
            : clipImage(fit === 'face' ? await cutFace(run, pixels) : pixels, side, 'stretch');
        },
      },
      run.addOns,
    );
    const shown: ShownImage = {
      tokens,
      weight: isOn ? weight : 0,
      ...(isOn && layerWeights && { layerWeights }),
      ...(region && { region: await readRegion(region) }),
      start,
      end,
    };
    const group = groups.find(
      (each) => each.adapter === adapter && each.images[0].tokens.count === tokens.count,
    );
    if (group) group.images.push(shown);
    else groups.push({ adapter, images: [shown] });
  }
  return groups;
};

/** The most certain face, upright; without one the whole image. Source: Fooocus extras/face_crop.py, `crop_image`. */
async function cutFace(run: RunContext, pixels: Pixels): Promise<Pixels> {
  const [face] = await findFaces(run, pixels);
  if (face) return alignFace(pixels, face.points).face;
  run.note('An image prompt of a face was used as a whole: no face was found in it.');
  return pixels;
}

async function hashOf(file: Blob): Promise<string> {
  const digest = await crypto.subtle.digest('SHA-256', await file.arrayBuffer());
  return [...new Uint8Array(digest)].join();
}
