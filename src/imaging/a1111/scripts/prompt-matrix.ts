import { gridShape } from '#imaging/a1111/grid.ts';

/** The settings of the prompt matrix. */
export interface PromptMatrixRequest {
  /** Parts divided by `|`: the first is in every prompt, the others are in or out. */
  prompt: string;
  seed: number;
  batchSize: number;
  /** Put the optional parts before the first. */
  putAtStart: boolean;
  /** Seeds grow by one from image to image. */
  differentSeeds: boolean;
  delimiter: 'comma' | 'space';
}

/** An optional part in the grid's legend, and whether the column or row has it. */
export interface LegendPart {
  text: string;
  active: boolean;
}

/** One run of several images, and how they make a grid, which precedes them. */
export interface PromptMatrixPlan {
  /** A prompt for each image. */
  prompts: readonly string[];
  seeds: readonly number[];
  /** `n_iter` of the run. */
  batches: number;
  rows: number;
  columns: number;
  /** By column and by row. */
  horizontal: readonly (readonly LegendPart[])[];
  vertical: readonly (readonly LegendPart[])[];
}

/** Every combination of a prompt's optional parts. Source: A1111 scripts/prompt_matrix.py; modules/images.py, `draw_prompt_matrix`. */
export function planPromptMatrix(request: PromptMatrixRequest): PromptMatrixPlan {
  const { seed, batchSize, putAtStart, differentSeeds } = request;
  const [base = '', ...optional] = request.prompt.split('|');
  const prompts = Array.from({ length: 2 ** optional.length }, (_, combination) => {
    const chosen = optional.filter((__, i) => isIn(combination, i)).map(trimPart);
    const parts = putAtStart ? [...chosen, base] : [base, ...chosen];
    return parts.join(request.delimiter === 'comma' ? ', ' : ' ');
  });
  const boundary = Math.ceil(optional.length / 2);
  return {
    prompts,
    seeds: prompts.map((_, i) => seed + (differentSeeds ? i : 0)),
    batches: Math.ceil(prompts.length / batchSize),
    ...gridShape({ images: prompts.length, rows: 2 ** Math.floor(optional.length / 2) }),
    horizontal: legend(optional.slice(0, boundary)),
    vertical: legend(optional.slice(boundary)),
  };
}

/** Without white space around it, then without commas. */
function trimPart(part: string): string {
  return part.trim().replace(/^,+|,+$/g, '');
}

function legend(parts: readonly string[]): LegendPart[][] {
  return Array.from({ length: 2 ** parts.length }, (_, combination) =>
    parts.map((text, i) => ({ text, active: isIn(combination, i) })),
  );
}

function isIn(combination: number, part: number): boolean {
  return (combination & (1 << part)) !== 0;
}
