import type { DetailStep, GenerateJob, GraphOptions, Pass, PostStep, RegionRules } from './job.ts';
import type { ModelId, ModelPack } from './model.ts';

/** What restores faces where no network for it is installed: each face is inpainted at full resolution. */
export const BUILT_IN_RESTORER = 'Detail (built in)';

/** How the built-in restorer generates: as a job does. */
export interface RestoringGeneration extends Pick<GenerateJob, 'noise' | 'promptOptions' | 'loras'> {
  pass: Pass;
  /** The pass's. */
  model: Pick<ModelPack, 'trainedSizes'>;
}

export interface RestorationRequest extends Pick<DetailStep, 'infotext'> {
  /** The id of an installed network; null for the built-in one. */
  restorer: ModelId | null;
  /** 0 … 1. */
  visibility: number;
  /** 0 … 1, CodeFormer's. */
  weight?: number;
}

/** The regions that ADetailer details as it is, unless it is told otherwise (adetailer/args.py). */
const REGIONS: RegionRules = {
  minScore: 0.3,
  minShare: 0,
  maxShare: 1,
  offset: { x: 0, y: 0 },
  grow: 4,
  merge: 'none',
};

/** How they are inpainted, likewise: A1111's "Only masked". */
const INPAINT = {
  rules: 'a1111',
  fit: 'stretch',
  fill: 'original',
  blur: { x: 4, y: 4 },
  round: true,
  area: { padding: 32 },
  overlay: true,
} as const satisfies DetailStep['inpaint'];

/** Denoising strength, likewise. */
const STRENGTH = 0.4;

/** Pixels on a side of a latent cell. */
const CELL = 8;

/**
 * The step that restores the faces of finished images.
 * @param generation called where the built-in restorer needs to know how to generate
 */
export function restorationStep(
  { restorer, visibility, weight, infotext }: RestorationRequest,
  generation: () => RestoringGeneration,
): PostStep {
  if (restorer !== null) {
    return { kind: 'restore-faces', restorer, visibility, ...(weight !== undefined && { weight }), infotext };
  }
  const { pass, model, noise, promptOptions, loras } = generation();
  return {
    kind: 'detail',
    finder: { kind: 'faces' },
    regions: REGIONS,
    inpaint: INPAINT,
    pass: facePass(pass, model),
    noise,
    promptOptions,
    ...(loras && { loras }),
    seedStep: 1,
    visibility,
    infotext,
  };
}

/** A pass over a face at the size the model knows best, without what shapes whole images. */
function facePass(
  { model: id, vae, steps, sampler, guidanceScale, graph }: Pass,
  { trainedSizes }: Pick<ModelPack, 'trainedSizes'>,
): Pass {
  const area = Math.max(...trainedSizes.map(([width, height]) => width * height));
  const side = Math.max(1, Math.floor(Math.sqrt(area) / CELL)) * CELL;
  const others = withoutTiling(graph ?? {});
  return {
    model: id,
    ...(vae !== undefined && { vae }),
    size: { width: side, height: side },
    steps,
    strength: STRENGTH,
    sampler,
    guidanceScale,
    ...(Object.keys(others).length > 0 && { graph: others }),
  };
}

function withoutTiling(graph: GraphOptions): GraphOptions {
  return Object.fromEntries(Object.entries(graph).filter(([name]) => name !== 'tiling'));
}
