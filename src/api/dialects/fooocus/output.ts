import { shortHash } from '#api/models.ts';
import type { OutputSpec } from '#protocol/job.ts';
import type { ModelInfo } from '#protocol/model.ts';
import { EXPANSION_MARK } from '#protocol/prompt-expansion.ts';
import { describeImage, type ImageFacts } from './metadata.ts';
import { PROMPT_EXPANSION, splitPromptLines, type FooocusImageTexts } from './prompt.ts';
import type { CommonRequest } from './schema.ts';

const FORMATS = { png: 'png', jpg: 'jpeg', jpeg: 'jpeg', webp: 'webp' } as const;

/** How a request wants its images encoded. */
export function encodingOf({
  save_extension: extension,
}: CommonRequest): Pick<OutputSpec, 'format' | 'quality'> {
  return { format: FORMATS[extension], quality: 0.95 };
}

/** Facts that all images of a request share. */
type SharedFacts = Omit<
  ImageFacts,
  | 'prompt'
  | 'negativePrompt'
  | 'fullPrompt'
  | 'fullNegativePrompt'
  | 'promptExpansion'
  | 'styles'
  | 'seed'
  | 'performance'
  | 'model'
  | 'modelHash'
  | 'clipSkip'
>;

/**
 * How the images of a request are encoded and what their files say; those saved as `jpg` carry no texts, as in Fooocus.
 * @param request its prompt with what inpainting adds
 * @param expands whether a text generator goes on with the prompt of an image
 */
export function describeOutput(
  request: CommonRequest,
  facts: SharedFacts,
  model: ModelInfo,
  images: readonly FooocusImageTexts[],
  expands: (image: FooocusImageTexts) => boolean,
): OutputSpec {
  const output: OutputSpec = { ...encodingOf(request), metadata: null };
  if (!request.save_meta || request.save_extension === 'jpg') return output;
  const texts = images.map((image) => {
    const expansion = expands(image) ? [EXPANSION_MARK] : [];
    return describeImage(
      {
        ...facts,
        prompt: logLines(image.prompt, image.positive, request.prompt),
        negativePrompt: logLines(image.negativePrompt, image.negative, request.negative_prompt),
        fullPrompt: [...image.positive, ...expansion],
        fullNegativePrompt: image.negative,
        promptExpansion: expansion.join(''),
        styles: [...expansion.map(() => PROMPT_EXPANSION), ...image.styles],
        seed: image.seed,
        performance: request.performance_selection,
        model: model.pack.id,
        modelHash: shortHash(model),
        clipSkip: request.advanced_params.clip_skip,
      },
      request.meta_scheme,
    );
  });
  return { ...output, texts };
}

/** The main prompt and the further lines of a prompt, which stand at the end of all its texts. */
function logLines(main: string, texts: readonly string[], prompt: string): string {
  const further = Math.max(0, splitPromptLines(prompt).length - 1);
  return [main, ...(further > 0 ? texts.slice(-further) : [])].join('\n');
}
