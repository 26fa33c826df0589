import { f } from '#api/dialects/a1111/fields.ts';
import { httpException } from '#api/dialects/a1111/errors.ts';
import type { Img2imgBody } from '#api/dialects/a1111/img2img-body.ts';
import { dropdown, slider, textbox } from '#api/dialects/a1111/script-controls.ts';
import type { FinishedImage } from '#api/run-job.ts';
import { combineGrid } from '#imaging/a1111/grid.ts';
import { planSdUpscale } from '#imaging/a1111/scripts/sd-upscale.ts';
import type { Pixels } from '#imaging/pixels.ts';
import { PLAIN_UPSCALERS } from '#protocol/job.ts';
import { pngOf, readPixels } from '#api/dialects/a1111/pixel-files.ts';
import { usableAddOns } from '#protocol/model.ts';
import type { RunnableScript, ScriptContext } from './script.ts';

const INFO =
  'Upscales the image by the scale factor, then generates it again tile by tile. The width and height are those of a tile.';

/** Upscaling, and img2img of the tiles (A1111 scripts/sd_upscale.py). */
export const sdUpscale: RunnableScript<Img2imgBody> = {
  title: 'SD upscale',
  controls: [
    textbox('', INFO),
    slider('Tile overlap', 64, 0, 256, 16),
    dropdown('Upscaler', PLAIN_UPSCALERS),
    slider('Scale Factor', 2, 1, 4, 0.05),
  ],
  async run(context) {
    const { args, body } = context;
    const overlap = args.get(1, f.integer({ min: 0 }));
    const upscaler = upscalerOf(context);
    const factor = args.get(3, f.number());
    if (factor <= 0) throw httpException(422, "script_args: 'Scale Factor' must be above 0");
    const [init = ''] = body.init_images ?? [];
    const image = await context.readImage(init, 'init_images');
    const seed = context.fixSeed(body.seed);
    const { grid, images } = planSdUpscale({
      image: upscaler === 'None' ? image : await upscale(context, image, upscaler, factor),
      tile: { width: body.width, height: body.height },
      overlap,
      // What is planned is added to the request's own.
      seed: 0,
      batchSize: body.batch_size,
      count: body.n_iter,
    });
    context.expect(images.reduce((sum, batches) => sum + batches.length, 0));
    const pairs = [
      ['SD upscale overlap', String(overlap)],
      ['SD upscale upscaler', upscaler],
    ] as const;
    const files: Blob[] = [];
    const specs: FinishedImage[] = [];
    for (const batches of images) {
      const tiles: Pixels[] = [];
      let first: FinishedImage | undefined;
      for (const batch of batches) {
        if (context.isStopped()) break;
        const run = await context.generate({
          changes: { seed: seed + BigInt(batch.seed), batch_size: batch.tiles.length, n_iter: 1, mask: null },
          images: { init: batch.tiles },
          pairs,
          intermediate: true,
          isPart: true,
        });
        first ??= run.images[0];
        tiles.push(...(await Promise.all(run.images.map(({ blob }) => readPixels(blob)))));
      }
      if (!first) break;
      files.push(await context.keep(combineGrid(grid, tiles), first.infotext, first));
      specs.push(first);
    }
    return { files, infotexts: specs.map(({ infotext }) => infotext), specs };
  },
};

/** By its name, or by its place in `GET /upscalers`. */
function upscalerOf({ args, installed: { addOns } }: ScriptContext<Img2imgBody>): string {
  const networks = usableAddOns(addOns, 'upscaler').map(({ pack }) => pack.id);
  const names = [...PLAIN_UPSCALERS, ...networks];
  return names[args.choice(2, names)] ?? 'None';
}

async function upscale(
  context: ScriptContext<Img2imgBody>,
  image: Pixels,
  upscaler: string,
  factor: number,
): Promise<Pixels> {
  const [made] = await context.upscale({
    task: 'upscale',
    sources: [{ image: pngOf(image) }],
    post: [{ kind: 'upscale', upscaler, size: { factor } }],
    output: { format: 'png', quality: 1, texts: false },
  });
  return made ? readPixels(made.blob) : image;
}
