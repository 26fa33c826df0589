import {
  faceRestorers,
  findRestorer,
  nameOfRestorer,
  restoreFaces,
  type Restorer,
} from '#api/face-restoration.ts';
import { route } from '#api/route.ts';
import type { InfotextPair } from '#codecs/infotext.ts';
import { BUILT_IN_RESTORER, type RestoringGeneration } from '#protocol/face-restoration.ts';
import type { PostStep } from '#protocol/job.ts';
import type { AddOnInfo } from '#protocol/model.ts';
import type { GenerationBody } from './generation-rows.ts';
import { OPTIONS } from './option-rows.ts';
import type { Options } from './options.ts';

/** The folder of a restorer's files in the original. */
const FOLDERS: Readonly<Record<string, string>> = {
  gfpgan: 'models/GFPGAN',
  codeformer: 'models/Codeformer',
};

export const faceRestorersRoute = route({
  method: 'GET',
  path: '/sdapi/v1/face-restorers',
  summary: 'Face restorers: the installed networks and the built-in one',
  run: async (call) =>
    faceRestorers(await call.ask((host) => host.addOns())).map((restorer) => ({
      name: nameOfRestorer(restorer),
      cmd_dir: typeof restorer === 'string' ? null : (FOLDERS[restorer.pack.network ?? ''] ?? null),
    })),
});

/** What a request says about restoring faces. */
export interface FaceRestoration {
  restorer: Restorer;
  steps: PostStep[];
  /** Names that led nowhere and were replaced. */
  unknown: string[];
}

/**
 * The restoration that a request asks for; null for none. The original's default is CodeFormer: where that is not installed,
 * it is what is there.
 */
export function planFaceRestoration(
  { restore_faces: sent }: Pick<GenerationBody, 'restore_faces'>,
  options: Options,
  addOns: readonly AddOnInfo[],
  generation: RestoringGeneration,
): FaceRestoration | null {
  if (!(sent ?? options.face_restoration)) return null;
  const { face_restoration_model: name, code_former_weight: weight } = options;
  const found = findRestorer(addOns, name);
  const isDefault = name === OPTIONS.face_restoration_model.initial;
  const restorer = found ?? faceRestorers(addOns)[0];
  return {
    restorer,
    steps: [restoreFaces(restorer, { visibility: 1, weight }, () => generation)],
    unknown: found === undefined && !isDefault ? ['override_settings.face_restoration_model'] : [],
  };
}

/** What extras ask of the two restorers that the original has. */
export interface ExtrasFaces {
  gfpgan_visibility: number;
  codeformer_visibility: number;
  codeformer_weight: number;
}

/**
 * The restorations of extras, in the original's order (scripts/postprocessing_gfpgan.py, postprocessing_codeformer.py). For
 * those that are not installed the built-in one runs, once.
 * @param generation called where the built-in one runs
 */
export function extrasRestorations(
  body: ExtrasFaces,
  addOns: readonly AddOnInfo[],
  generation: () => RestoringGeneration,
): PostStep[] {
  const visibilities = { GFPGAN: body.gfpgan_visibility, CodeFormer: body.codeformer_visibility };
  const steps: PostStep[] = [];
  const missing: { visibility: number; pairs: InfotextPair[] } = { visibility: 0, pairs: [] };
  for (const [name, visibility] of Object.entries(visibilities)) {
    if (visibility === 0) continue;
    const restorer = findRestorer(addOns, name);
    const pair: InfotextPair = [`${name} visibility`, String(visibility)];
    if (!restorer) {
      missing.visibility = Math.max(missing.visibility, visibility);
      missing.pairs.push(pair);
      continue;
    }
    const weight = name === 'CodeFormer' ? body.codeformer_weight : undefined;
    const pairs: InfotextPair[] = weight === undefined ? [pair] : [pair, [`${name} weight`, String(weight)]];
    steps.push(
      restoreFaces(restorer, { visibility, ...(weight !== undefined && { weight }), pairs }, generation),
    );
  }
  if (missing.visibility === 0) return steps;
  return [...steps, restoreFaces(BUILT_IN_RESTORER, missing, generation)];
}
