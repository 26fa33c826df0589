import type { FinishedImage } from '#api/run-job.ts';
import { f } from '#api/dialects/a1111/fields.ts';
import { gridBackground } from '#api/dialects/a1111/grid.ts';
import type { Img2imgBody } from '#api/dialects/a1111/img2img-body.ts';
import { slider, textbox } from '#api/dialects/a1111/script-controls.ts';
import { gridShape, imageGrid } from '#imaging/a1111/grid.ts';
import {
  finishOutpaintMk2,
  planOutpaintMk2,
  prepareOutpaintMk2,
  type OutpaintMk2Plan,
} from '#imaging/a1111/scripts/outpaint-mk2.ts';
import type { Pixels } from '#imaging/pixels.ts';
import { directionControl, pixelsControl, readDirections } from './outpaint-controls.ts';
import { readPixels } from '#api/dialects/a1111/pixel-files.ts';
import type { RunnableScript, ScriptContext } from './script.ts';

const INFO = 'Recommended: 80 to 100 sampling steps, the sampler Euler a, a denoising strength of 0.8.';

/** `inpainting_fill`: the noise that has been put there. */
const ORIGINAL = 1;

/** Inpainting of noise like the image, side after side (A1111 scripts/outpainting_mk_2.py). */
export const outpaintMk2: RunnableScript<Img2imgBody> = {
  title: 'Outpainting mk2',
  controls: [
    textbox('', INFO),
    pixelsControl,
    slider('Mask blur', 8, 0, 64, 1),
    directionControl,
    slider('Fall-off exponent (lower=higher detail)', 1, 0, 4, 0.01),
    slider('Color variation', 0.05, 0, 1, 0.01),
  ],
  async run(context) {
    const { args, body, options } = context;
    const [init = ''] = body.init_images ?? [];
    const image = await context.readImage(init, 'init_images');
    const plan = planOutpaintMk2(image, {
      pixels: args.get(1, f.integer({ min: 1 })),
      maskBlur: args.get(2, f.integer({ min: 0 })),
      directions: readDirections(args, 3),
      noiseExponent: args.get(4, f.number()),
      colourVariation: args.get(5, f.number()),
      process: { width: body.width, height: body.height },
    });
    context.expect(plan.steps.length * body.n_iter);
    const seed = context.fixSeed(body.seed);
    const made: Outpainted[] = [];
    for (let batch = 0; batch < body.n_iter && !context.isStopped(); batch++) {
      made.push(...(await outpaintBatch(context, image, plan, seed)));
    }
    const files: Blob[] = [];
    for (const { pixels, spec } of made) files.push(await context.keep(pixels, spec.infotext, spec));
    const specs = made.map(({ spec }) => spec);
    const infotexts = specs.map(({ infotext }) => infotext);
    if (made.length < 2 || !options.return_grid) return { files, infotexts, specs };
    const shape = gridShape({
      images: made.length,
      nRows: options.n_rows,
      batchSize: body.batch_size,
      preventEmptySpots: options.grid_prevent_empty_spots,
    });
    const grid = imageGrid(
      made.map(({ pixels }) => pixels),
      shape,
      gridBackground(options),
    );
    const [infotext = ''] = infotexts;
    return {
      files: [await context.encode(grid, infotext), ...files],
      infotexts: [infotext, ...infotexts],
      specs,
      firstImage: 1,
    };
  },
};

/** An image, and the run of its last side. */
interface Outpainted {
  pixels: Pixels;
  spec: FinishedImage;
}

/** The images of a batch, each grown on every side; none where the run was ended on the way. */
async function outpaintBatch(
  context: ScriptContext<Img2imgBody>,
  image: Pixels,
  plan: OutpaintMk2Plan,
  seed: bigint,
): Promise<Outpainted[]> {
  const { batch_size: batchSize } = context.body;
  let pixels: Pixels[] = Array.from({ length: batchSize }, () => image);
  let specs: FinishedImage[] = [];
  for (const step of plan.steps) {
    const prepared = pixels.map((before) => prepareOutpaintMk2(before, step, plan));
    const [first] = prepared;
    if (!first) return [];
    const { images } = await context.generate({
      changes: {
        seed,
        batch_size: batchSize,
        n_iter: 1,
        width: first.image.width,
        height: first.image.height,
        mask_blur: null,
        mask_blur_x: first.maskBlur.x,
        mask_blur_y: first.maskBlur.y,
        inpainting_fill: ORIGINAL,
        inpaint_full_res: false,
      },
      images: { init: prepared.map((run) => run.image), mask: first.mask, latentMask: first.latentMask },
      intermediate: true,
      isPart: true,
    });
    if (context.isStopped() || images.length < batchSize) return [];
    const generated = await Promise.all(images.map(({ blob }) => readPixels(blob)));
    pixels = prepared.map((run, i) => finishOutpaintMk2(run, generated[i] ?? run.image));
    specs = images;
  }
  return specs.flatMap((spec, i) => {
    const own = pixels[i];
    return own ? [{ pixels: own, spec }] : [];
  });
}
