import type { AnyPack, ModelDefaults } from './model.ts';

/** What a model or LoRA that was distilled to few steps is run with. */
export interface FewSteps {
  /** The method, as people name such files. */
  title: string;
  values: Pick<ModelDefaults, 'steps' | 'guidanceScale' | 'sampler' | 'schedule'>;
}

/** Methods by the mark they leave in names, with the values their authors recommend. */
const METHODS: readonly (FewSteps & { mark: RegExp })[] = [
  // stabilityai/sdxl-turbo and sd-turbo: 1 to 4 steps without guidance, the timesteps spaced from their end.
  {
    title: 'Turbo',
    mark: /turbo/i,
    values: { steps: 4, guidanceScale: 1, sampler: 'euler_ancestral', schedule: 'sgm_uniform' },
  },
  // ByteDance/SDXL-Lightning: Euler with trailing timesteps and no guidance; the name of a file has its steps.
  {
    title: 'Lightning',
    mark: /lightning/i,
    values: { steps: 8, guidanceScale: 1, sampler: 'euler', schedule: 'sgm_uniform' },
  },
  // ByteDance/Hyper-SD: DDIM with trailing timesteps, which without added noise is Euler.
  {
    title: 'Hyper-SD',
    mark: /(?:^|[^a-z])hyper(?:[^a-z]|$)|hyper-?sd/i,
    values: { steps: 8, guidanceScale: 1, sampler: 'euler', schedule: 'sgm_uniform' },
  },
  // Luo et al., LCM-LoRA (arXiv 2311.05556): 4 to 8 steps, guidance 1 to 2.
  {
    title: 'LCM',
    mark: /(?:^|[^a-z])lcm(?:[^a-z]|$)|latent[-_ ]consistency/i,
    values: { steps: 6, guidanceScale: 1, sampler: 'lcm', schedule: 'sgm_uniform' },
  },
];

/** `4step`, `8-steps`. One step is another network with another sampler, and more is no longer few. */
const NAMED_STEPS = /(?:^|[^0-9])(2|4|6|8|12|16)[-_ ]?steps?(?:[^a-z]|$)/i;

/** Hyper-SD's files that keep guidance name it: `8steps-CFG`. Its authors recommend 5 to 8. */
const KEEPS_GUIDANCE = /steps?[-_ ]?cfg/i;

/** Entries of a file's metadata that name what it is (sd-scripts, SAI's ModelSpec). */
const NAMING_METADATA = ['modelspec.title', 'ss_output_name'] as const;

/** What a name says of a model or LoRA for few steps; null where it says nothing. */
export function fewStepsOf(name: string): FewSteps | null {
  const method = METHODS.find(({ mark }) => mark.test(name));
  if (!method) return null;
  const steps = Number(NAMED_STEPS.exec(name)?.[1] ?? method.values.steps);
  const guidanceScale = KEEPS_GUIDANCE.test(name) ? 5 : method.values.guidanceScale;
  return { title: method.title, values: { ...method.values, steps, guidanceScale } };
}

/** As {@link fewStepsOf}, by all that names a pack: its id and title, its file's metadata, and where it came from. */
export function fewStepsOfPack(pack: AnyPack): FewSteps | null {
  const metadata = pack.kind === 'model' ? undefined : pack.metadata;
  const names = [
    pack.id,
    pack.title,
    ...NAMING_METADATA.flatMap((key) => metadata?.[key] ?? []),
    pack.importedFrom ?? '',
  ];
  for (const name of names) {
    const found = fewStepsOf(name);
    if (found) return found;
  }
  return null;
}

/** Guidance that goes this far above what is recommended still gives usable images. */
const GUIDANCE_MARGIN = 1;

/** Whether values are close enough to what a method for few steps is run with; many people have their own favorites. */
export function suitsFewSteps(
  { values }: FewSteps,
  { steps, guidanceScale, samplerId }: { steps: number; guidanceScale: number; samplerId: string },
): boolean {
  return (
    steps <= 2 * values.steps &&
    guidanceScale <= values.guidanceScale + GUIDANCE_MARGIN &&
    // What an LCM predicts takes its own sampler; the others are ordinary networks.
    (values.sampler !== 'lcm' || samplerId === 'lcm')
  );
}
