import { f } from '#api/dialects/a1111/fields.ts';
import type { GenerationBody } from '#api/dialects/a1111/generation-rows.ts';
import { gridBackground } from '#api/dialects/a1111/grid.ts';
import { readPrompts } from '#api/dialects/a1111/prompt.ts';
import { checkbox, dropdown, slider } from '#api/dialects/a1111/script-controls.ts';
import { imageGrid } from '#imaging/a1111/grid.ts';
import { canWriteText, withLegends } from '#imaging/a1111/legends.ts';
import { planPromptMatrix, type PromptMatrixPlan } from '#imaging/a1111/scripts/prompt-matrix.ts';
import type { ImageSpec } from '#protocol/job.ts';
import { legendStyle } from './legend-style.ts';
import { readPixels } from '#api/dialects/a1111/pixel-files.ts';
import type { RunnableScript, ScriptContext } from './script.ts';

const DELIMITERS = ['comma', 'space'] as const;

/** Every combination of a prompt's parts, and a grid of them (A1111 scripts/prompt_matrix.py). */
export const promptMatrix: RunnableScript<GenerationBody> = {
  title: 'Prompt matrix',
  controls: [
    checkbox('Put variable parts at start of prompt'),
    checkbox('Use different seed for each picture'),
    dropdown('Select prompt', ['positive', 'negative']),
    dropdown('Select joining char', DELIMITERS),
    slider('Grid margins (px)', 0, 0, 500, 2),
  ],
  async run(context) {
    const { args, body } = context;
    const isNegative = args.choice(2) === 1;
    const plan = planPromptMatrix({
      prompt: isNegative ? body.negative_prompt : body.prompt,
      // What is planned is added to the seed that the run has.
      seed: 0,
      batchSize: body.batch_size,
      putAtStart: args.get(0, f.boolean()),
      differentSeeds: args.get(1, f.boolean()),
      delimiter: DELIMITERS[args.choice(3)] ?? 'comma',
    });
    const margin = args.get(4, f.integer({ min: 0 }));
    context.expect(plan.batches);
    const { images } = await context.generate({
      changes: { n_iter: plan.batches },
      specs: (specs) => specsOf(plan, specs, isNegative, context),
    });
    const infotexts = images.map(({ infotext }) => infotext);
    const files = images.map(({ blob }) => blob);
    if (images.length < plan.prompts.length) return { files, infotexts, specs: images };
    const tiles = await Promise.all(files.map(readPixels));
    const [cell = { width: 0, height: 0 }] = tiles;
    if (!canWriteText()) context.ignore('script_args.legend');
    const legends = { columns: plan.horizontal, rows: plan.vertical };
    const grid = withLegends(
      imageGrid(tiles, plan, gridBackground(context.options)),
      cell,
      legends,
      legendStyle(context.options, margin),
    );
    const [first] = images;
    const [infotext = ''] = infotexts;
    return {
      files: [...(first ? [await context.keepGrid(grid, infotext, first)] : []), ...files],
      infotexts: [infotext, ...infotexts],
      specs: images,
      firstImage: 1,
    };
  },
};

function specsOf(
  { prompts, seeds }: PromptMatrixPlan,
  specs: readonly ImageSpec[],
  isNegative: boolean,
  { body, options }: Pick<ScriptContext<GenerationBody>, 'body' | 'options'>,
): ImageSpec[] {
  const [first] = specs;
  if (!first) return [];
  const reading = { comments: options.enable_prompt_comments, withoutNetworks: body.disable_extra_networks };
  return prompts.map((text, i) => ({
    ...first,
    ...readPrompts(
      {
        prompt: isNegative ? body.prompt : text,
        negativePrompt: isNegative ? text : body.negative_prompt,
        styles: body.styles,
      },
      reading,
    ),
    seed: BigInt.asUintN(64, first.seed + BigInt(seeds[i] ?? 0)),
    subseed: BigInt.asUintN(64, first.subseed + BigInt(i)),
  }));
}
