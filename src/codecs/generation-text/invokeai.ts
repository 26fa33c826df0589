import type { Infotext } from '#codecs/infotext.ts';
import { infotextOf, itemsOf, memberOf, parseRecord, textOf } from './foreign-facts.ts';
import { samplerNames } from './sampler-names.ts';

/** InvokeAI's texts of three ages, newest first; null where there is none of them. */
export function readInvokeAi(texts: Readonly<Record<string, string>>): Infotext | null {
  const current = parseRecord(texts['invokeai_metadata']);
  if (current) return readCurrent(current);
  const old = parseRecord(texts['sd-metadata']);
  if (old) return readOld(old);
  return texts['Dream'] === undefined ? null : readDream(texts['Dream']);
}

/** From version 3 on. Models are `model_name` there, `name` from version 4 on. */
function readCurrent(facts: Record<string, unknown>): Infotext {
  const model = memberOf(facts, 'model');
  const vae = memberOf(facts, 'vae');
  return infotextOf({
    prompt: facts['positive_prompt'],
    negativePrompt: facts['negative_prompt'],
    steps: facts['steps'],
    ...samplerNames(textOf(facts['scheduler'])),
    cfgScale: facts['cfg_scale'],
    seed: facts['seed'],
    width: facts['width'],
    height: facts['height'],
    model: model['name'] ?? model['model_name'],
    vae: vae['name'] ?? vae['model_name'],
    denoisingStrength: facts['strength'],
    loras: itemsOf(facts, 'loras').map((lora) => {
      const { name, model_name: older } = { ...memberOf(lora, 'lora'), ...memberOf(lora, 'model') };
      return { name: name ?? older, weight: lora['weight'] };
    }),
  });
}

/** Version 2: prompts in parts with weights, what is negative in square brackets. */
function readOld(facts: Record<string, unknown>): Infotext {
  const image = memberOf(facts, 'image');
  const parts = itemsOf(image, 'prompt').map((part) => textOf(part['prompt']));
  return infotextOf({
    ...splitPrompt(parts.length > 0 ? parts.join(' ') : textOf(image['prompt'])),
    steps: image['steps'],
    ...samplerNames(textOf(image['sampler'])),
    cfgScale: image['cfg_scale'],
    seed: image['seed'],
    width: image['width'],
    height: image['height'],
    model: facts['model_weights'],
    denoisingStrength: image['strength'],
  });
}

/** Version 1: a command of its shell, `"a cat" -s 50 -S 7 -W 512 -H 512 -C 7.5 -A k_lms`. */
function readDream(command: string): Infotext {
  const [, prompt = command, options = ''] = /^"((?:\\.|[^"\\])*)"(.*)$/s.exec(command) ?? [];
  const option = (name: string) => new RegExp(`\\s-${name}\\s*([^\\s-][^\\s]*)`).exec(options)?.[1];
  return infotextOf({
    ...splitPrompt(prompt.replaceAll('\\"', '"')),
    steps: option('s'),
    ...samplerNames(option('A') ?? ''),
    cfgScale: option('C'),
    seed: option('S'),
    width: option('W'),
    height: option('H'),
    denoisingStrength: option('f'),
  });
}

function splitPrompt(text: string): { prompt: string; negativePrompt: string } {
  const negatives = [...text.matchAll(/\[([^[\]]*)\]/g)].map(([, negative = '']) => negative.trim());
  return {
    prompt: text
      .replaceAll(/\[[^[\]]*\]/g, ' ')
      .replaceAll(/ {2,}/g, ' ')
      .trim(),
    negativePrompt: negatives.join(', '),
  };
}
