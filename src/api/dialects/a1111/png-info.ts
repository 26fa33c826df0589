import { route } from '#api/route.ts';
import { novelAiInfotext } from '#codecs/generation-text/novelai.ts';
import { readImageText } from '#codecs/image-text.ts';
import { isPng, readPngHeader } from '#codecs/png-chunks.ts';
import { httpException } from './errors.ts';
import { readImage } from './image-input.ts';
import { readGenerationParameters } from './infotext-fields.ts';
import { effectiveOptions } from './options.ts';
import { SAMPLERS } from './samplers.ts';
import { pngInfoBody } from './schema.ts';
import { extractStyles } from './styles.ts';

export const pngInfo = route({
  method: 'POST',
  path: '/sdapi/v1/png-info',
  summary: 'The generation parameters stored in an image',
  body: pngInfoBody,
  run: async (call) => {
    const options = effectiveOptions(await call.ask((host) => host.settings()));
    const texts = await readTexts(await readImage(call, call.body.image, options));
    const { parameters: info = '', ...items } = texts;
    if (info === '') return { info, items, parameters: {} };
    const entries = readGenerationParameters(info);
    const { styles, prompt, negativePrompt } = extractStyles({
      prompt: entries['Prompt'] ?? '',
      negativePrompt: entries['Negative prompt'] ?? '',
    });
    const { infotext_styles: mode } = options;
    const apply = mode === 'Apply' || (mode === 'Apply if any' && styles.length > 0);
    return {
      info,
      items,
      parameters: apply
        ? { ...entries, Prompt: prompt, 'Negative prompt': negativePrompt, 'Styles array': styles }
        : entries,
    };
  },
});

async function readTexts(image: Blob): Promise<Record<string, string>> {
  try {
    const file = new Uint8Array(await image.arrayBuffer());
    const texts = await readImageText(file);
    const novelAi = isPng(file) ? novelAiInfotext(texts, readPngHeader(file), samplerName) : null;
    return novelAi === null ? texts : { ...texts, parameters: novelAi };
  } catch {
    throw httpException(500, 'Invalid encoded image');
  }
}

/** The original knows a few of NovelAI's samplers as aliases and takes Euler a for the others. */
function samplerName(novelAiName: string): string {
  return SAMPLERS.find(({ aliases }) => aliases.includes(novelAiName))?.name ?? 'Euler a';
}
