import { DEFAULT_TAG_RULES, describerOf, type Describer, type TagRules } from '#protocol/describer.ts';
import { AppError } from '#protocol/error.ts';
import { descriptionOf, type DescribeJob, type JobOrigin, type TextArtifact } from '#protocol/job.ts';
import { usableAddOns, type AddOnInfo } from '#protocol/model.ts';
import type { Call } from './route.ts';
import { runUnkept } from './unkept-job.ts';

/** What a description is to be: a sentence or a prompt, or a list of tags. */
export type DescriptionKind = 'caption' | 'tags';

/** How a description is asked for. */
export interface DescriptionRequest {
  kind: DescriptionKind;
  rules?: TagRules;
  maxTokens?: number;
}

/**
 * What describes an image: the first installed caption model or tagger, as asked for, or else the describer that comes with
 * the app. That one answers a request for tags too, in their form and with a note: clients that ask for tags always can go on
 * with them, but not with an error.
 */
function chooseDescriber(
  { kind, rules = DEFAULT_TAG_RULES, ...options }: DescriptionRequest,
  addOns: readonly AddOnInfo[],
): Describer {
  const [first] = usableAddOns(addOns, kind === 'tags' ? 'tagger' : 'captioner');
  if (first) return describerOf(first.pack, { rules, ...options });
  return kind === 'tags' ? { kind: 'built-in', as: 'tags', rules } : { kind: 'built-in', as: 'prompt' };
}

/**
 * Describes an image. The answer's headers are to say by what: {@link describerHeaders}.
 * @param reply kept with the job while it runs, see JobOrigin
 * @throws AppError the job's failure; `cancelled` where it was stopped before there was a text
 */
export async function describeImage(
  call: Pick<Call<unknown, unknown>, 'ask' | 'run'>,
  image: Blob,
  request: DescriptionRequest,
  reply?: JobOrigin['reply'],
): Promise<TextArtifact> {
  const addOns = await call.ask((host) => host.addOns());
  const job: DescribeJob = { task: 'describe', image, describer: chooseDescriber(request, addOns) };
  const description = descriptionOf((await runUnkept(call, job, reply)).result);
  if (description) return description;
  throw new AppError('cancelled', 'The image was not described: the job was stopped.');
}

/** Names the pack that described an image. */
export function describerHeaders({ describer }: TextArtifact): Readonly<Record<string, string>> {
  return { 'X-Vitrine-Describer': encodeURIComponent(describer) };
}
