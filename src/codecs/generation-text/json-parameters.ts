import type { Infotext } from '#codecs/infotext.ts';
import { infotextOf, memberOf, parseRecord, textOf } from './foreign-facts.ts';
import { samplerNames } from './sampler-names.ts';

/** Fooocus's own scheme (modules/meta_parser.py, `FooocusMetadataParser`): JSON as `parameters`. Null where it is another text. */
export function readFooocus(json: string | undefined): Infotext | null {
  const facts = parseRecord(json);
  if (!facts || (facts['metadata_scheme'] !== 'fooocus' && facts['base_model'] === undefined)) return null;
  const [, width, height] = /(\d+)\D+(\d+)/.exec(textOf(facts['resolution'])) ?? [];
  const refiner = facts['refiner_model'] === 'None' ? undefined : facts['refiner_model'];
  return infotextOf({
    prompt: facts['prompt'],
    negativePrompt: facts['negative_prompt'],
    steps: facts['steps'],
    ...samplerNames(textOf(facts['sampler']), textOf(facts['scheduler'])),
    cfgScale: facts['guidance_scale'],
    seed: facts['seed'],
    width,
    height,
    model: facts['base_model'],
    modelHash: facts['base_model_hash'],
    ...(facts['vae'] !== 'Default (model)' && { vae: facts['vae'] }),
    clipSkip: facts['clip_skip'],
    ...(refiner !== undefined && { refiner, refinerSwitchAt: facts['refiner_switch'] }),
    loras: lorasOf(facts['loras']),
    extra: [
      ['Styles', facts['styles']],
      ['Performance', facts['performance']],
      ['Sharpness', facts['sharpness']],
      ['ADM Guidance', facts['adm_guidance']],
      ['Version', facts['version']],
    ],
  });
}

/** `[name, weight, hash]` each. */
function lorasOf(value: unknown): { name: unknown; weight: unknown }[] {
  if (!Array.isArray(value)) return [];
  const items: readonly unknown[] = value;
  return items
    .filter((item): item is readonly unknown[] => Array.isArray(item))
    .map(([name, weight]) => ({ name, weight }));
}

/** SwarmUI: JSON as `parameters`, with `sui_image_params` in it. Null where it is another text. */
export function readSwarmUi(json: string | undefined): Infotext | null {
  const text = parseRecord(json);
  if (!text || text['sui_image_params'] === undefined) return null;
  const facts = memberOf(text, 'sui_image_params');
  const weights = Array.isArray(facts['loraweights']) ? facts['loraweights'] : [];
  const names: readonly unknown[] = Array.isArray(facts['loras']) ? facts['loras'] : [];
  return infotextOf({
    prompt: facts['prompt'],
    negativePrompt: facts['negativeprompt'],
    steps: facts['steps'],
    ...samplerNames(textOf(facts['sampler']), textOf(facts['scheduler'])),
    cfgScale: facts['cfgscale'],
    seed: facts['seed'],
    width: facts['width'],
    height: facts['height'],
    model: facts['model'],
    denoisingStrength: facts['initimagecreativity'],
    loras: names.map((name, index) => ({ name, weight: weights[index] as unknown })),
  });
}

/**
 * Civitai's generator: a ComfyUI graph as EXIF's user comment, and beside the nodes `extraMetadata`, JSON in a text. Null where
 * it is another text.
 */
export function readCivitai(json: string | undefined): Infotext | null {
  const facts = parseRecord(textOf(parseRecord(json)?.['extraMetadata']));
  if (!facts) return null;
  return infotextOf({
    prompt: facts['prompt'],
    negativePrompt: facts['negativePrompt'],
    steps: facts['steps'],
    ...samplerNames(textOf(facts['sampler'])),
    cfgScale: facts['cfgScale'],
    seed: facts['seed'],
    width: facts['width'],
    height: facts['height'],
    clipSkip: facts['clipSkip'],
    denoisingStrength: facts['denoise'],
  });
}
