import type { FinishedImage } from '#api/run-job.ts';
import { f } from '#api/dialects/a1111/fields.ts';
import type { GenerationBody } from '#api/dialects/a1111/generation-rows.ts';
import { SAMPLERS } from '#api/dialects/a1111/samplers.ts';
import { checkbox, dropdown, textbox } from '#api/dialects/a1111/script-controls.ts';
import { readOptions, type OptionKind } from './command-line.ts';
import type { RunnableScript, Variation } from './script.ts';

/** Options of a line. */
const KINDS: Readonly<Record<string, OptionKind>> = {
  sd_model: 'text',
  outpath_samples: 'text',
  outpath_grids: 'text',
  prompt_for_display: 'text',
  prompt: 'text',
  negative_prompt: 'text',
  styles: 'text',
  seed: 'integer',
  subseed_strength: 'number',
  subseed: 'integer',
  seed_resize_from_h: 'integer',
  seed_resize_from_w: 'integer',
  sampler_index: 'integer',
  sampler_name: 'text',
  batch_size: 'integer',
  n_iter: 'integer',
  steps: 'integer',
  cfg_scale: 'number',
  width: 'integer',
  height: 'integer',
  restore_faces: 'boolean',
  tiling: 'boolean',
  do_not_save_samples: 'boolean',
  do_not_save_grid: 'boolean',
};

/** Paths on a server, and settings of its page. */
const WITHOUT_EFFECT = [
  'outpath_samples',
  'outpath_grids',
  'prompt_for_display',
  'do_not_save_samples',
  'do_not_save_grid',
];

/** A run for each line (A1111 scripts/prompts_from_file.py). */
export const promptsFromFile: RunnableScript<GenerationBody> = {
  title: 'Prompts from file or textbox',
  controls: [
    checkbox('Iterate seed every line'),
    checkbox('Use same random seed for all lines'),
    dropdown('Insert prompts at the', ['start', 'end']),
    textbox('List of prompt inputs'),
  ],
  async run(context) {
    const { args, body } = context;
    const iterates = args.get(0, f.boolean());
    const isSame = args.get(1, f.boolean());
    const atEnd = args.choice(2) === 1;
    const lines = args
      .get(3, f.string())
      .split(/\r\n|[\n\r\v\f\u2028\u2029]/)
      .map((line) => line.trim())
      .filter((line) => line !== '');
    const variations = lines.map((line) => variationOf(line, body, atEnd));
    const batches = variations.map(({ changes }) => changes?.n_iter ?? body.n_iter);
    context.expect(batches.reduce((sum, count) => sum + count, 0));
    const seed = iterates || isSame ? context.fixSeed(body.seed) : body.seed;
    const images: FinishedImage[] = [];
    for (const [i, variation] of variations.entries()) {
      const shift = iterates ? BigInt(i * body.batch_size * body.n_iter) : 0n;
      const changes = { seed: seed + shift, ...variation.changes };
      images.push(...(await context.generate({ ...variation, changes })).images);
      if (context.isStopped()) break;
    }
    return {
      files: images.map(({ blob }) => blob),
      infotexts: images.map(({ infotext }) => infotext),
      specs: images,
    };
  },
};

/** A line with options changes what they name; any other line is a prompt. */
function variationOf(line: string, body: GenerationBody, atEnd: boolean): Variation<GenerationBody> {
  const options = readOptions(line, KINDS) ?? new Map([['prompt', line] as const]);
  const { sd_model: model, sampler_index: sampler, styles, ...fields } = Object.fromEntries(options);
  const join = (own: unknown, common: string) => {
    if (typeof own !== 'string' || own === '' || common === '') return own;
    return atEnd ? `${common} ${own}` : `${own} ${common}`;
  };
  const known = Object.entries(fields).filter(([name]) => !WITHOUT_EFFECT.includes(name));
  const changes: Record<string, unknown> = {
    ...Object.fromEntries(known),
    ...(sampler !== undefined && { sampler_name: SAMPLERS[Number(sampler)]?.name }),
    ...(styles !== undefined && { styles: [styles] }),
    ...(fields['prompt'] !== undefined && { prompt: join(fields['prompt'], body.prompt) }),
    ...(fields['negative_prompt'] !== undefined && {
      negative_prompt: join(fields['negative_prompt'], body.negative_prompt),
    }),
  };
  return {
    changes,
    ...(model !== undefined && { overrides: { sd_model_checkpoint: model } }),
  };
}
