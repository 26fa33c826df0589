import { readImageText } from '#codecs/image-text.ts';
import { parseInfotext, type Infotext } from '#codecs/infotext.ts';
import { isPng, readPngHeader } from '#codecs/png-chunks.ts';
import { readComfyUi } from './comfyui.ts';
import { readDrawThings } from './draw-things.ts';
import { parseRecord } from './foreign-facts.ts';
import { readInvokeAi } from './invokeai.ts';
import { readCivitai, readFooocus, readSwarmUi } from './json-parameters.ts';
import { novelAiInfotext } from './novelai.ts';
import { samplerNames } from './sampler-names.ts';

/** How an image was made, from its file. */
export interface GenerationText {
  /** The program that wrote the text, or the one whose way of writing it is. */
  program: 'A1111' | 'Civitai' | 'ComfyUI' | 'Draw Things' | 'Fooocus' | 'InvokeAI' | 'NovelAI' | 'SwarmUI';
  /** In the words of A1111's infotexts; sizes are two pairs, `Size-1` and `Size-2`, as {@link parseInfotext} has them. */
  infotext: Infotext;
}

/** Civitai adds lists of JSON without quoting them; their commas and colons would read as pairs. */
const CIVITAI_LISTS = /,? ?Civitai (?:resources|metadata): [[{].*$/;

/**
 * How an image file was made, by what its texts say: of A1111 and all that write as it does, NovelAI, ComfyUI, InvokeAI,
 * Fooocus, SwarmUI, Draw Things and Civitai; null where they say nothing.
 * @throws TypeError when it is no PNG, JPEG, WebP or GIF file; RangeError when it is a PNG file without a header
 */
export async function readGenerationText(file: Uint8Array): Promise<GenerationText | null> {
  const texts = await readImageText(file);
  const { parameters } = texts;
  const foreign = (program: GenerationText['program'], infotext: Infotext | null) =>
    infotext && { program, infotext };
  return (
    foreign('NovelAI', isPng(file) ? readNovelAi(texts, file) : null) ??
    foreign('InvokeAI', readInvokeAi(texts)) ??
    foreign('Fooocus', readFooocus(parameters)) ??
    foreign('SwarmUI', readSwarmUi(parameters)) ??
    foreign('Civitai', readCivitai(parameters)) ??
    readParameters(texts) ??
    foreign('Draw Things', readDrawThings(texts['XML:com.adobe.xmp'])) ??
    foreign('ComfyUI', readComfyUi(texts['prompt'] ?? parameters))
  );
}

function readNovelAi(texts: Readonly<Record<string, string>>, file: Uint8Array): Infotext | null {
  const text = novelAiInfotext(texts, readPngHeader(file), (name) => samplerNames(name).sampler);
  return text === null ? null : parseInfotext(text);
}

function readParameters(texts: Readonly<Record<string, string>>): GenerationText | null {
  const { parameters = '', fooocus_scheme: scheme } = texts;
  if (parameters.trim() === '' || parseRecord(parameters)) return null;
  const isCivitai = CIVITAI_LISTS.test(parameters);
  const infotext = parseInfotext(isCivitai ? parameters.replace(CIVITAI_LISTS, '') : parameters);
  const version = infotext.parameters.find(([key]) => key === 'Version')?.[1] ?? '';
  const isFooocus = scheme === 'a1111' || version.startsWith('Fooocus');
  return { program: isCivitai ? 'Civitai' : isFooocus ? 'Fooocus' : 'A1111', infotext };
}
