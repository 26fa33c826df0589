import { openUpscalePass } from '#engine/stages/post/open-upscaler.ts';
import type { Made } from '#engine/stages/decode/decode.ts';
import type { Batch, GeneratePlan, PlannedPass } from '#engine/stages/resolve/resolve.ts';
import type { RunContext, Stage } from '#engine/stages/run/context.ts';
import type { GenerateJob, ImageRules } from '#protocol/job.ts';
import { prepareByA1111 } from './prepare-a1111.ts';
import { prepareByDiffusers } from './prepare-diffusers.ts';
import { prepareByFooocus } from './prepare-fooocus.ts';
import type { PassSource } from './pass-source.ts';
import type { FinishedImage, PreparedInit, PrepareInit } from './prepared.ts';
import type { InitSource } from './read-init.ts';

const rules: Readonly<Record<ImageRules, PrepareInit>> = {
  a1111: prepareByA1111,
  diffusers: prepareByDiffusers,
  fooocus: prepareByFooocus,
};

/** Init images that are prepared, by their sources. */
export type PreparedInits = ReadonlyMap<InitSource, PreparedInit>;

/** A batch and the pass its init images are prepared for. */
export interface PrepareInput {
  job: GenerateJob;
  plan: GeneratePlan;
  batch: Batch;
  pass: PlannedPass;
}

/**
 * The init images of a batch at the size of a pass, in order; none where the job starts from noise. What other images of
 * the job share is prepared once.
 * @throws AppError `invalid_request` for masks that the rules cannot work with, and what an upscaler throws
 */
export const prepareInits: Stage<PrepareInput, readonly PreparedInit[]> = async (run, input) => {
  const { job, plan, batch } = input;
  if (job.init.from === 'noise' || !plan.sources) return [];
  const sources = plan.sources.slice(batch.from, batch.from + batch.images.length);
  const pass = passOfSize(input);
  const known = pass.preparedInits;
  const prepared = new Map<InitSource, PreparedInit>();
  for (const source of sources) {
    if (prepared.has(source)) continue;
    prepared.set(source, known.get(source) ?? (await prepare(run, job.init, source, pass)));
  }
  // Those of other batches take memory.
  pass.preparedInits = prepared;
  return sources.flatMap((source) => prepared.get(source) ?? []);
};

/** Without a mask, or at the same size, the other passes reuse what the first one starts from. */
function passOfSize({ job, plan, pass }: PrepareInput): PlannedPass {
  const [first] = plan.passes;
  const [a, b] = [first.spec.size, pass.spec.size];
  const isSame = a.width === b.width && a.height === b.height;
  return job.init.from === 'masked' && !isSame ? pass : first;
}

async function prepare(
  run: RunContext,
  init: Exclude<GenerateJob['init'], { from: 'noise' }>,
  source: InitSource,
  { spec }: PlannedPass,
): Promise<PreparedInit> {
  const upscaler = init.resizeBy === undefined ? null : await openUpscalePass(run, init.resizeBy);
  return rules[init.rules]({ source, init, pass: spec, upscaler });
}

/** What the first pass over a batch starts from; null is noise. */
export function sourcesOf(inits: readonly PreparedInit[]): PassSource[] | null {
  if (inits.length === 0) return null;
  return inits.map(({ image, stretchesLatents, mask }) => ({
    content: { kind: 'pixels', pixels: image },
    fit: stretchesLatents ? 'stretch' : 'cut',
    mask,
  }));
}

/** The last pass's images as results: with what of their init images stays. */
export async function finishImages(
  { images, changes }: Made,
  inits: readonly PreparedInit[],
): Promise<FinishedImage[]> {
  const finished: FinishedImage[] = [];
  for (const [index, image] of images.entries()) {
    const init = inits[index];
    finished.push(init ? await init.finish(image, changes[index]) : { image });
  }
  return finished;
}
