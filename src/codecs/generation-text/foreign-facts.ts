import type { Infotext, InfotextPair } from '#codecs/infotext.ts';
import { isRecord, parseJson } from '#codecs/json.ts';

/** What another program wrote about an image, by this program's names. Values that are neither text nor number are left out. */
export interface ForeignFacts {
  prompt: unknown;
  negativePrompt?: unknown;
  steps?: unknown;
  /** A sampler and a schedule as infotexts name them. */
  sampler?: unknown;
  schedule?: unknown;
  cfgScale?: unknown;
  seed?: unknown;
  /** In pixels. */
  width?: unknown;
  height?: unknown;
  model?: unknown;
  modelHash?: unknown;
  vae?: unknown;
  denoisingStrength?: unknown;
  clipSkip?: unknown;
  refiner?: unknown;
  refinerSwitchAt?: unknown;
  /** They go to the end of the prompt, as infotexts have them. */
  loras?: readonly { name: unknown; weight: unknown }[];
  extra?: readonly (readonly [key: string, value: unknown])[];
}

/** The facts in the words of an infotext. */
export function infotextOf(facts: ForeignFacts): Infotext {
  const pairs: (readonly [string, unknown])[] = [
    ['Steps', facts.steps],
    ['Sampler', facts.sampler],
    ['Schedule type', facts.schedule],
    ['CFG scale', facts.cfgScale],
    ['Seed', facts.seed],
    ['Size-1', facts.width],
    ['Size-2', facts.height],
    ['Model hash', facts.modelHash],
    ['Model', facts.model],
    ['VAE', facts.vae],
    ['Denoising strength', facts.denoisingStrength],
    ['Clip skip', facts.clipSkip],
    ['Refiner', facts.refiner],
    ['Refiner switch at', facts.refinerSwitchAt],
    ...(facts.extra ?? []),
  ];
  const loras = (facts.loras ?? [])
    .map(({ name, weight }) => [textOf(name), textOf(weight)] as const)
    .filter(([name]) => name !== '')
    .map(([name, weight]) => `<lora:${stemOf(name)}:${weight === '' ? '1' : weight}>`);
  return {
    prompt: [textOf(facts.prompt), ...loras].filter((part) => part !== '').join(' '),
    negativePrompt: textOf(facts.negativePrompt),
    parameters: pairs
      .map(([key, value]): InfotextPair => [key, textOf(value)])
      .filter(([, value]) => value !== ''),
  };
}

/** Texts and numbers as text, everything else as an empty one. */
export function textOf(value: unknown): string {
  if (typeof value === 'string') return value.trim();
  return typeof value === 'number' || typeof value === 'bigint' ? String(value) : '';
}

/** A file's name without its folders and its ending. */
export function stemOf(path: string): string {
  return path.replace(/^.*[\\/]/, '').replace(/\.(?:safetensors|ckpt|pt|pth|bin|gguf|sft)$/i, '');
}

/** The object that a text of JSON holds, with Python's NaN read as null; null if it has none. */
export function parseRecord(text: string | undefined): Record<string, unknown> | null {
  if (!text?.trimStart().startsWith('{')) return null;
  try {
    const value = parseJson(text.replace(/([[:,]\s*)-?(?:NaN|Infinity)(?=\s*[,\]}])/g, '$1null'));
    return isRecord(value) ? value : null;
  } catch {
    return null;
  }
}

/** A member that is an object; an empty one otherwise. */
export function memberOf(record: Record<string, unknown>, key: string): Record<string, unknown> {
  const value = record[key];
  return isRecord(value) ? value : {};
}

/** A member's items that are objects. */
export function itemsOf(record: Record<string, unknown>, key: string): Record<string, unknown>[] {
  const value = record[key];
  return Array.isArray(value) ? value.filter(isRecord) : [];
}
