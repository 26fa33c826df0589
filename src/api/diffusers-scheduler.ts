import type { DiffusersSampler } from '#protocol/sampler.ts';

/** The scheduler classes that ModelsLab and its resellers offer. */
export const DIFFUSERS_SCHEDULERS = [
  'DDPMScheduler',
  'DDIMScheduler',
  'PNDMScheduler',
  'LMSDiscreteScheduler',
  'EulerDiscreteScheduler',
  'EulerAncestralDiscreteScheduler',
  'DPMSolverMultistepScheduler',
  'HeunDiscreteScheduler',
  'KDPM2DiscreteScheduler',
  'DPMSolverSinglestepScheduler',
  'KDPM2AncestralDiscreteScheduler',
  'UniPCMultistepScheduler',
  'DDIMInverseScheduler',
  'DEISMultistepScheduler',
  'IPNDMScheduler',
  'KarrasVeScheduler',
  'ScoreSdeVeScheduler',
  'LCMScheduler',
] as const;

export type DiffusersSchedulerName = (typeof DIFFUSERS_SCHEDULERS)[number];

/** Classes made for other models than latent text-to-image ones, and their replacements. */
const NEAREST: Partial<Record<DiffusersSchedulerName, DiffusersSchedulerName>> = {
  DDIMInverseScheduler: 'DDIMScheduler',
  KarrasVeScheduler: 'HeunDiscreteScheduler',
  ScoreSdeVeScheduler: 'EulerAncestralDiscreteScheduler',
  IPNDMScheduler: 'PNDMScheduler',
};

const WITH_KARRAS_SIGMAS: ReadonlySet<DiffusersSchedulerName> = new Set([
  'LMSDiscreteScheduler',
  'EulerDiscreteScheduler',
  'DPMSolverMultistepScheduler',
  'HeunDiscreteScheduler',
  'KDPM2DiscreteScheduler',
  'DPMSolverSinglestepScheduler',
  'KDPM2AncestralDiscreteScheduler',
  'UniPCMultistepScheduler',
  'DEISMultistepScheduler',
]);

/** The service's names of DPMSolverMultistep's algorithms, its own spelling of the SDE variant first. */
const ALGORITHMS: Readonly<Record<string, string>> = {
  'dpmsolver+++': 'sde-dpmsolver++',
  'sde-dpmsolver++': 'sde-dpmsolver++',
  'dpmsolver++': 'dpmsolver++',
  dpmsolver: 'dpmsolver',
  'sde-dpmsolver': 'sde-dpmsolver',
};

/** The scheduler a client means; upper and lower case are the same. */
export function findDiffusersScheduler(name: string): DiffusersSchedulerName | undefined {
  return DIFFUSERS_SCHEDULERS.find((known) => known.toLowerCase() === name.trim().toLowerCase());
}

/** The sampler that runs for a scheduler's name and the two settings these services offer. */
export function diffusersSampler(
  name: DiffusersSchedulerName,
  settings: { useKarrasSigmas: boolean; algorithmType: string | null },
): DiffusersSampler {
  const scheduler = NEAREST[name] ?? name;
  const algorithm = settings.algorithmType === null ? undefined : ALGORITHMS[settings.algorithmType];
  return {
    family: 'diffusers',
    scheduler,
    config: {
      ...(settings.useKarrasSigmas && WITH_KARRAS_SIGMAS.has(scheduler) && { use_karras_sigmas: true }),
      ...(algorithm && scheduler === 'DPMSolverMultistepScheduler' && { algorithm_type: algorithm }),
    },
  };
}
