import type { FinishedImage } from '#api/run-job.ts';
import { f } from '#api/dialects/a1111/fields.ts';
import type { Img2imgBody } from '#api/dialects/a1111/img2img-body.ts';
import { dropdown, slider } from '#api/dialects/a1111/script-controls.ts';
import { combineOutpaintPoor, planOutpaintPoor } from '#imaging/a1111/scripts/outpaint-poor.ts';
import { directionControl, pixelsControl, readDirections } from './outpaint-controls.ts';
import { readPixels } from '#api/dialects/a1111/pixel-files.ts';
import type { RunnableScript } from './script.ts';

/** Inpainting of new margins, tile by tile (A1111 scripts/poor_mans_outpainting.py). */
export const outpaintPoor: RunnableScript<Img2imgBody> = {
  title: "Poor man's outpainting",
  controls: [
    pixelsControl,
    slider('Mask blur', 4, 0, 64, 1),
    dropdown('Masked content', ['fill', 'original', 'latent noise', 'latent nothing']),
    directionControl,
  ],
  async run(context) {
    const { args, body } = context;
    const [init = ''] = body.init_images ?? [];
    const seed = context.fixSeed(body.seed);
    const plan = planOutpaintPoor({
      image: await context.readImage(init, 'init_images'),
      pixels: args.get(0, f.integer({ min: 1 })),
      maskBlur: args.get(1, f.integer({ min: 0 })),
      directions: readDirections(args, 3),
      tile: { width: body.width, height: body.height },
      // What is planned is added to the request's own.
      seed: 0,
    });
    const fill = args.choice(2);
    context.expect(plan.tiles.length);
    const made: FinishedImage[] = [];
    for (const tile of plan.tiles) {
      const { images } = await context.generate({
        changes: {
          seed: seed + BigInt(tile.seed),
          batch_size: 1,
          n_iter: 1,
          mask_blur: plan.maskBlur,
          inpainting_fill: fill,
          inpaint_full_res: false,
        },
        images: { init: [tile.image], mask: tile.mask, latentMask: tile.latentMask },
        intermediate: true,
        isPart: true,
      });
      made.push(...images);
      if (context.isStopped()) break;
    }
    const [first] = made;
    if (!first) return { files: [], infotexts: [], specs: [] };
    const results = await Promise.all(made.map(({ blob }) => readPixels(blob)));
    return {
      files: [await context.keep(combineOutpaintPoor(plan, results), first.infotext, first)],
      infotexts: [first.infotext],
      specs: [first],
    };
  },
};
