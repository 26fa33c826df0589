import { asciiJson } from '#codecs/json.ts';
import type { RunContext, Stage } from '#engine/stages/run/context.ts';
import type { GenerateJob, ImageSpec } from '#protocol/job.ts';
import { EXPANSION_MARK, type PromptExpansion } from '#protocol/prompt-expansion.ts';
import { continueText } from './text-generator.ts';

/**
 * The job with the words that text generators add to its prompts, in its prompts and in the texts of its files.
 * @throws AppError as {@link continueText}
 */
export const expandPrompts: Stage<GenerateJob, GenerateJob> = async (run, job) => {
  if (job.images.every(({ expansion }) => expansion === undefined)) return job;
  run.progress.encoding();
  /** Images that ask for the same get the same. */
  const known = new Map<string, string>();
  const expanded: string[] = [];
  for (const { expansion } of job.images) expanded.push(await expandOne(run, expansion, known));
  const { texts } = job.output;
  return {
    ...job,
    images: job.images.map((image, index) => withExpansion(image, expanded[index] ?? '')),
    output: { ...job.output, ...(texts && { texts: texts.map((own, i) => fillIn(own, expanded[i] ?? '')) }) },
  };
};

async function expandOne(
  run: RunContext,
  expansion: PromptExpansion | undefined,
  known: Map<string, string>,
): Promise<string> {
  if (!expansion) return '';
  const { model, text, seed } = expansion;
  const key = JSON.stringify([model, text, seed]);
  const expanded = known.get(key) ?? (await continueText(run, expansion));
  known.set(key, expanded);
  return expanded;
}

function withExpansion({ expansion, ...image }: ImageSpec, expanded: string): ImageSpec {
  if (!expansion || expanded === '') return image;
  const { prompt } = image;
  return expansion.as === 'instead'
    ? { ...image, prompt: [expanded, ...prompt.slice(1)] }
    : { ...image, prompt: [...prompt, expanded], pooledTexts: prompt.length };
}

function fillIn(texts: Readonly<Record<string, string>>, expanded: string): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(texts).map(([keyword, text]) => [
      keyword,
      text
        .replaceAll(`"${EXPANSION_MARK}"`, () => asciiJson(expanded))
        .replaceAll(EXPANSION_MARK, () => expanded),
    ]),
  );
}
