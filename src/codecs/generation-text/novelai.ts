import { parseRecord, textOf } from './foreign-facts.ts';

/**
 * The infotext of a NovelAI image, in the three lines that A1111 makes of it (modules/images.py, `read_info_from_image`, with
 * Clip skip 2 and ENSD 31337 whatever the file says); null where the texts are not NovelAI's.
 * @param texts the file's texts by keyword: Software, Description, and Comment as JSON
 * @param size the image's, in pixels
 * @param samplerName the name in the infotext of a NovelAI sampler such as `k_euler_ancestral`
 */
export function novelAiInfotext(
  texts: Readonly<Record<string, string>>,
  size: { width: number; height: number },
  samplerName: (name: string) => string,
): string | null {
  const { Software: software, Description: description, Comment: comment } = texts;
  if (software !== 'NovelAI' || description === undefined || comment === undefined) return null;
  const facts = parseRecord(comment);
  if (!facts || ['uc', 'steps', 'scale', 'seed', 'sampler'].some((key) => facts[key] === undefined))
    return null;
  const pairs = [
    `Steps: ${numberIn(comment, 'steps')}`,
    `Sampler: ${samplerName(textOf(facts['sampler']))}`,
    `CFG scale: ${numberIn(comment, 'scale')}`,
    `Seed: ${numberIn(comment, 'seed')}`,
    `Size: ${String(size.width)}x${String(size.height)}`,
    'Clip skip: 2',
    'ENSD: 31337',
  ];
  return `${description}\nNegative prompt: ${textOf(facts['uc'])}\n${pairs.join(', ')}`;
}

/** A number as it is written: Python distinguishes 11 from 11.0, JSON.parse does not. */
function numberIn(json: string, key: string): string {
  return new RegExp(`"${key}"\\s*:\\s*(-?[\\d.eE+-]+)`).exec(json)?.[1] ?? '';
}
