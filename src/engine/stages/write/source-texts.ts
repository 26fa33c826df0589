import { readImageText } from '#codecs/image-text.ts';
import { parseInfotext, writePairs } from '#codecs/infotext.ts';
import { postPairs } from '#engine/stages/post/post.ts';
import type { GeneratedImage, PostStep, UpscaleSource } from '#protocol/job.ts';

/** What is known of the source of an upscaled image, and the texts of its file. */
export interface SourceTexts {
  facts: Omit<GeneratedImage, 'index' | 'width' | 'height'>;
  texts: Readonly<Record<string, string>>;
}

/**
 * An image's own texts, and what post steps add to them: A1111's extras keep the one and write the other under
 * `postprocessing` (modules/postprocessing.py).
 */
export async function readSourceTexts(
  { image, known }: UpscaleSource,
  post: readonly PostStep[],
): Promise<SourceTexts> {
  const texts = await readTexts(image);
  const postprocessing = writePairs(postPairs(post));
  const parameters = known?.infotext ?? texts['parameters'] ?? '';
  const { prompt, negativePrompt, parameters: pairs } = parseInfotext(parameters);
  const facts = new Map(pairs);
  return {
    texts: { ...texts, ...(postprocessing !== '' && { postprocessing }) },
    facts: {
      seed: known?.seed ?? readSeed(facts.get('Seed')),
      subseed: readSeed(facts.get('Variation seed')),
      prompt: [known?.prompt ?? prompt],
      negativePrompt: [negativePrompt],
      infotext: [parameters, postprocessing]
        .filter((text) => text !== '')
        .join(pairs.length > 0 ? ', ' : '\n'),
    },
  };
}

/** Files whose texts cannot be read count as having none. */
async function readTexts(image: Blob): Promise<Record<string, string>> {
  try {
    return await readImageText(new Uint8Array(await image.arrayBuffer()));
  } catch {
    return {};
  }
}

function readSeed(text: string | undefined): bigint {
  return text !== undefined && /^\d+$/.test(text) ? BigInt(text) : 0n;
}
