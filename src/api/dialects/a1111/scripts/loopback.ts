import type { DescriptionKind } from '#api/describe-image.ts';
import type { FinishedImage } from '#api/run-job.ts';
import { pythonFloat } from '#codecs/infotext.ts';
import { f } from '#api/dialects/a1111/fields.ts';
import { composeGrid } from '#api/dialects/a1111/grid.ts';
import { strengthOf } from '#api/dialects/a1111/hires.ts';
import type { Img2imgBody } from '#api/dialects/a1111/img2img-body.ts';
import { dropdown, slider } from '#api/dialects/a1111/script-controls.ts';
import { planLoopback } from '#imaging/a1111/scripts/loopback.ts';
import { pngOf, readPixels } from '#api/dialects/a1111/pixel-files.ts';
import type { RunnableScript } from './script.ts';

const CURVES = ['Aggressive', 'Linear', 'Lazy'] as const;

/** What is appended to the prompt, by the choice of the last control. */
const APPENDED: readonly (DescriptionKind | null)[] = [null, 'caption', 'tags'];

/** `inpainting_fill` of every run but the first: the masked part starts from what was generated there. */
const ORIGINAL = 1;

/** Img2img of its own results (A1111 scripts/loopback.py). */
export const loopback: RunnableScript<Img2imgBody> = {
  title: 'Loopback',
  controls: [
    slider('Loops', 4, 1, 32, 1),
    slider('Final denoising strength', 0.5, 0, 1, 0.01),
    dropdown('Denoising strength curve', CURVES, 'Linear'),
    dropdown('Append interrogated prompt at each iteration', ['None', 'CLIP', 'DeepBooru']),
  ],
  async run(context) {
    const { args, body, options } = context;
    const loops = args.get(0, f.integer({ min: 1, max: 1000 }));
    const finalStrength = args.get(1, f.number());
    const curve = CURVES[args.choice(2)] ?? 'Linear';
    const appended = APPENDED[args.choice(3)] ?? null;
    const { prompt } = body;
    /** The request's prompt and what a run's init image shows. */
    const describing = async (image: Blob, kind: DescriptionKind): Promise<{ prompt: string }> => {
      const text = await context.describe(image, kind);
      return { prompt: prompt === '' ? text : `${prompt}, ${text}` };
    };
    const seed = context.fixSeed(body.seed);
    const runs = planLoopback({
      loops,
      batches: body.n_iter,
      // What is planned is added to the request's own.
      seed: 0,
      strength: strengthOf(body.denoising_strength),
      finalStrength,
      curve,
      maskedContent: 'fill',
    });
    context.expect(runs.length);
    const pairs = [
      ['Final denoising strength', pythonFloat(finalStrength)],
      ['Denoising curve', curve],
    ] as const;
    const returned: FinishedImage[] = [];
    let last: FinishedImage | undefined;
    for (const run of runs) {
      const [initImage = ''] = body.init_images ?? [];
      const described =
        appended === null
          ? {}
          : await describing(
              !run.fromInit && last ? last.blob : pngOf(await context.readImage(initImage, 'init_images')),
              appended,
            );
      if (context.isStopped()) break;
      const { images } = await context.generate({
        changes: {
          ...described,
          seed: seed + BigInt(run.seed),
          denoising_strength: run.strength,
          batch_size: 1,
          n_iter: 1,
          init_images: (body.init_images ?? []).slice(0, 1),
          ...(!run.fromInit && { inpainting_fill: ORIGINAL }),
        },
        ...(!run.fromInit && last && { images: { init: [await readPixels(last.blob)] } }),
        pairs,
        intermediate: !run.returned,
      });
      if (context.isStopped()) break;
      [last] = images;
      if (run.returned && last) returned.push(last);
    }
    const files = returned.map(({ blob }) => blob);
    const infotexts = returned.map(({ infotext }) => infotext);
    if (returned.length < 2 || !options.return_grid) return { files, infotexts, specs: returned };
    const [infotext = ''] = infotexts;
    return {
      files: [await composeGrid(returned, options, 1, 1), ...files],
      infotexts: [infotext, ...infotexts],
      specs: returned,
      firstImage: 1,
    };
  },
};
