import type { Infotext } from '#codecs/infotext.ts';
import { infotextOf, itemsOf, parseRecord, textOf } from './foreign-facts.ts';
import { samplerNames } from './sampler-names.ts';

const ENTITIES: Readonly<Record<string, string>> = { quot: '"', apos: "'", lt: '<', gt: '>', amp: '&' };

/** Draw Things: JSON as `exif:UserComment` in XMP. Null where it is other XMP. */
export function readDrawThings(xmp: string | undefined): Infotext | null {
  const comment = /<exif:UserComment>(.*?)<\/exif:UserComment>/s.exec(xmp ?? '')?.[1] ?? '';
  const json = comment
    .replaceAll(/<[^>]*>/g, '')
    .replaceAll(/&#x([\da-f]+);/gi, (_, code: string) => String.fromCodePoint(Number.parseInt(code, 16)))
    .replaceAll(/&#(\d+);/g, (_, code: string) => String.fromCodePoint(Number(code)))
    .replaceAll(/&(quot|apos|lt|gt|amp);/g, (_, name: string) => ENTITIES[name] ?? '');
  const facts = parseRecord(json);
  if (!facts || facts['c'] === undefined) return null;
  const [width, height] = textOf(facts['size']).split('x');
  return infotextOf({
    prompt: facts['c'],
    negativePrompt: facts['uc'],
    steps: facts['steps'],
    ...samplerNames(textOf(facts['sampler'])),
    cfgScale: facts['scale'],
    seed: facts['seed'],
    width,
    height,
    model: facts['model'],
    ...(facts['strength'] !== 1 && { denoisingStrength: facts['strength'] }),
    loras: itemsOf(facts, 'lora').map(({ model, weight }) => ({ name: model, weight })),
  });
}
