import type { RunContext, Stage } from '#engine/stages/run/context.ts';
import type { Pixels } from '#imaging/pixels.ts';
import type { Describer } from '#protocol/describer.ts';
import type { TextArtifact } from '#protocol/job.ts';
import { describeByCaptioner } from './captioner.ts';
import { describeByBuiltIn } from './built-in.ts';
import { describeByTagger } from './tagger.ts';

type Describe<D extends Describer> = (
  run: RunContext,
  input: { describer: D; pixels: Pixels },
) => Promise<Omit<TextArtifact, 'kind'>>;

/** What describes by each kind. */
const describers: { readonly [Kind in Describer['kind']]: Describe<Extract<Describer, { kind: Kind }>> } = {
  'built-in': describeByBuiltIn,
  tagger: describeByTagger,
  captioner: describeByCaptioner,
};

/**
 * Puts an image into words.
 * @throws AppError `model_not_found` for a describer that is not installed, `unsupported_feature` for one of another make, and
 *   what the runtime throws
 */
export const describeImage: Stage<{ describer: Describer; pixels: Pixels }, TextArtifact> = async (
  run,
  { describer, pixels },
) => {
  // The table has each describer under its own kind.
  const describe = describers[describer.kind] as unknown as Describe<Describer>;
  return { kind: 'text', ...(await describe(run, { describer, pixels })) };
};
