import { FACE_RESTORATION, type InfotextPair } from '#codecs/infotext.ts';
import {
  BUILT_IN_RESTORER,
  restorationStep,
  type RestorationRequest,
  type RestoringGeneration,
} from '#protocol/face-restoration.ts';
import type { PostStep } from '#protocol/job.ts';
import { usableAddOns, type AddOnInfo, type ModelInfo } from '#protocol/model.ts';
import { sameName } from '#protocol/names.ts';
import { TORCH_NOISE } from './job.ts';
import { findAddOn } from './models.ts';

/** An installed network, or the built-in one. */
export type Restorer = AddOnInfo | typeof BUILT_IN_RESTORER;

/** The restorers in the order in which they are chosen where none is named. */
export function faceRestorers(addOns: readonly AddOnInfo[]): readonly [Restorer, ...Restorer[]] {
  const [first, ...others] = usableAddOns(addOns, 'face-restorer');
  return first ? [first, ...others, BUILT_IN_RESTORER] : [BUILT_IN_RESTORER];
}

/** What clients and infotexts call a restorer. */
export function nameOfRestorer(restorer: Restorer): string {
  return restorer === BUILT_IN_RESTORER ? restorer : restorer.pack.title;
}

/** A restorer by its name, or by the network it is: `GFPGAN`, `CodeFormer`. */
export function findRestorer(addOns: readonly AddOnInfo[], name: string): Restorer | undefined {
  if (sameName(name, BUILT_IN_RESTORER)) return BUILT_IN_RESTORER;
  return (
    findAddOn(addOns, 'face-restorer', name) ??
    usableAddOns(addOns, 'face-restorer').find(({ pack }) => sameName(pack.network ?? '', name))
  );
}

/**
 * The step of a restorer, which infotexts name.
 * @param pairs what infotexts say before that
 * @param generation called where the built-in restorer needs to know how to generate
 */
export function restoreFaces(
  restorer: Restorer,
  {
    pairs = [],
    ...request
  }: Omit<RestorationRequest, 'restorer' | 'infotext'> & { pairs?: readonly InfotextPair[] },
  generation: () => RestoringGeneration,
): PostStep {
  const infotext: InfotextPair[] = [...pairs, [FACE_RESTORATION, nameOfRestorer(restorer)]];
  const id = restorer === BUILT_IN_RESTORER ? null : restorer.pack.id;
  return restorationStep({ ...request, restorer: id, infotext }, generation);
}

/** How a checkpoint generates by itself, for images that exist already; their own prompts are read as A1111 reads them. */
export function generationWith({ pack: model }: ModelInfo): RestoringGeneration {
  const { width, height, steps, guidanceScale, sampler, schedule } = model.defaults;
  return {
    model,
    pass: {
      model: model.id,
      size: { width, height },
      steps,
      strength: 1,
      sampler: { family: 'k-diffusion', sampler, schedule, options: {} },
      guidanceScale,
    },
    noise: TORCH_NOISE,
    promptOptions: { syntax: 'a1111', emphasis: 'original', clipSkip: 1, commaPaddingBacktrack: 20 },
  };
}
