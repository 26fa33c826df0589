import { asciiJson } from '#codecs/json.ts';
import type { Size } from '#protocol/job.ts';
import { labelForA1111, type FooocusSampler, type FooocusSchedule } from './samplers.ts';

/** A LoRA as Fooocus writes of it. */
export interface DescribedLora {
  /** File name without its ending. */
  name: string;
  weight: number;
  /** The first 10 hexadecimal digits of its SHA-256. */
  hash: string;
}

/** What Fooocus writes into an image about how it was made. */
export interface ImageFacts {
  /** As requested, its lines after wildcards and arrays. */
  prompt: string;
  negativePrompt: string;
  /** As encoded, styles and all. */
  fullPrompt: readonly string[];
  fullNegativePrompt: readonly string[];
  /** What a text generator made of the prompt; empty without one. */
  promptExpansion: string;
  styles: readonly string[];
  performance: string;
  steps: number;
  size: Size;
  guidanceScale: number;
  sharpness: number;
  /** Positive and negative scale, and the fraction of steps they apply to. */
  admGuidance: readonly [number, number, number];
  /** File name without its ending, and the first 10 hexadecimal digits of its SHA-256. */
  model: string;
  modelHash: string;
  vae: string;
  loras: readonly DescribedLora[];
  /** The refiner's name and hash; null without one. */
  refiner: { name: string; hash: string } | null;
  refinerSwitch: number;
  /** The replacement value; above 0. */
  overwriteSwitch: number;
  /** Of images from images; null otherwise. Fooocus does not write it. */
  denoisingStrength: number | null;
  adaptiveCfg: number;
  clipSkip: number;
  /** FreeU's b1, b2, s1 and s2; null without it. */
  freeU: readonly [number, number, number, number] | null;
  sampler: FooocusSampler;
  schedule: FooocusSchedule;
  seed: bigint;
}

export const metadataSchemes = ['fooocus', 'a1111'] as const;

export type MetadataScheme = (typeof metadataSchemes)[number];

const VERSION = 'Fooocus v2.5.3';
/** What Fooocus calls the model's own VAE. */
export const DEFAULT_VAE = 'Default (model)';
const DEFAULT_ADAPTIVE_CFG = 7;

/** The text chunks of a PNG by keyword: `parameters` in the given scheme, and the scheme's name. */
export function describeImage(facts: ImageFacts, scheme: MetadataScheme): Record<string, string> {
  const parameters = scheme === 'a1111' ? toInfotext(facts) : toJson(facts);
  return { parameters, fooocus_scheme: scheme };
}

/** Fooocus's own scheme: the JSON of Python's `json.dumps`, keys in order of their names. */
function toJson(facts: ImageFacts): string {
  const pairs: [name: string, json: string][] = [
    ['adm_guidance', toPythonJson(tuple(facts.admGuidance))],
    ['base_model', toPythonJson(facts.model)],
    ['base_model_hash', toPythonJson(facts.modelHash)],
    ['full_negative_prompt', toPythonJson(facts.fullNegativePrompt)],
    ['full_prompt', toPythonJson(facts.fullPrompt)],
    ['guidance_scale', toPythonFloat(facts.guidanceScale)],
    ['loras', `[${facts.loras.map(loraJson).join(', ')}]`],
    ...facts.loras.map(({ name, weight }, index): [string, string] => [
      `lora_combined_${index + 1}`,
      toPythonJson(`${name} : ${toPythonFloat(weight)}`),
    ]),
    ['metadata_scheme', '"fooocus"'],
    ['negative_prompt', toPythonJson(facts.negativePrompt)],
    ['performance', toPythonJson(facts.performance)],
    ['prompt', toPythonJson(facts.prompt)],
    ['prompt_expansion', toPythonJson(facts.promptExpansion)],
    ['refiner_model', toPythonJson(facts.refiner?.name ?? 'None')],
    ['refiner_switch', toPythonFloat(facts.refinerSwitch)],
    ['resolution', `"(${facts.size.width}, ${facts.size.height})"`],
    ['sampler', toPythonJson(facts.sampler)],
    ['scheduler', toPythonJson(facts.schedule)],
    ['seed', `"${facts.seed}"`],
    ['sharpness', toPythonFloat(facts.sharpness)],
    ['steps', String(facts.steps)],
    ['styles', toPythonJson(`[${facts.styles.map(toPythonText).join(', ')}]`)],
    ['vae', toPythonJson(facts.vae)],
    ['version', toPythonJson(VERSION)],
  ];
  if (facts.refiner) {
    pairs.push(['refiner_model_hash', toPythonJson(facts.refiner.hash)]);
    if (facts.overwriteSwitch > 0) pairs.push(['overwrite_switch', toPythonFloat(facts.overwriteSwitch)]);
  }
  if (facts.denoisingStrength !== null)
    pairs.push(['denoising_strength', toPythonFloat(facts.denoisingStrength)]);
  if (facts.adaptiveCfg !== DEFAULT_ADAPTIVE_CFG)
    pairs.push(['adaptive_cfg', toPythonFloat(facts.adaptiveCfg)]);
  if (facts.clipSkip > 1) pairs.push(['clip_skip', String(facts.clipSkip)]);
  if (facts.freeU) pairs.push(['freeu', toPythonJson(tuple(facts.freeU))]);
  pairs.sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${pairs.map(([name, value]) => `"${name}": ${value}`).join(', ')}}`;
}

function loraJson({ name, weight, hash }: DescribedLora): string {
  return `[${toPythonJson(name)}, ${toPythonFloat(weight)}, ${toPythonJson(hash)}]`;
}

/** A1111's infotext with Fooocus's own keys. */
function toInfotext(facts: ImageFacts): string {
  const pairs: [name: string, value: string][] = [
    ['Steps', String(facts.steps)],
    ['Sampler', labelForA1111(facts.sampler, facts.schedule)],
    ['Seed', String(facts.seed)],
    ['Size', `${facts.size.width}x${facts.size.height}`],
    ['CFG scale', toPythonFloat(facts.guidanceScale)],
    ['Sharpness', toPythonFloat(facts.sharpness)],
    ['ADM Guidance', tuple(facts.admGuidance)],
    ['Model', facts.model],
    ['Model hash', facts.modelHash],
    ['Performance', facts.performance],
    ['Scheduler', facts.schedule],
    ['VAE', facts.vae],
    ['Raw prompt', facts.prompt],
    ['Raw negative prompt', facts.negativePrompt],
  ];
  if (facts.denoisingStrength !== null)
    pairs.push(['Denoising strength', toPythonFloat(facts.denoisingStrength)]);
  if (facts.refiner) {
    pairs.push(['Refiner', facts.refiner.name]);
    pairs.push(['Refiner hash', facts.refiner.hash]);
  }
  if (facts.adaptiveCfg !== DEFAULT_ADAPTIVE_CFG)
    pairs.push(['Adaptive CFG', toPythonFloat(facts.adaptiveCfg)]);
  if (facts.clipSkip > 1) pairs.push(['Clip skip', String(facts.clipSkip)]);
  if (facts.refiner && facts.overwriteSwitch > 0)
    pairs.push(['Overwrite Switch', toPythonFloat(facts.overwriteSwitch)]);
  if (facts.freeU) pairs.push(['FreeU', tuple(facts.freeU)]);
  if (facts.loras.length > 0) {
    pairs.push(['Lora hashes', facts.loras.map(({ name, hash }) => `${name}: ${hash}`).join(', ')]);
    pairs.push([
      'Lora weights',
      facts.loras.map(({ name, weight }) => `${name}: ${toPythonFloat(weight)}`).join(', '),
    ]);
  }
  pairs.push(['Version', VERSION]);
  const lines = [facts.fullPrompt.join(', ')];
  const negative = facts.fullNegativePrompt.join(', ');
  if (negative !== '') lines.push(`Negative prompt: ${negative}`);
  lines.push(pairs.map(([name, value]) => `${name}: ${quote(value)}`).join(', '));
  return lines.join('\n').trim();
}

function quote(value: string): string {
  return /[,\n:]/.test(value) ? JSON.stringify(value) : value;
}

function tuple(values: readonly number[]): string {
  return `(${values.map(toPythonFloat).join(', ')})`;
}

/** A float as Python prints it: always with a point. */
function toPythonFloat(value: number): string {
  return Number.isInteger(value) ? value.toFixed(1) : String(value);
}

/** A text as Python's `repr` writes it. */
function toPythonText(text: string): string {
  return text.includes("'") && !text.includes('"') ? `"${text}"` : `'${text.replaceAll("'", "\\'")}'`;
}

/** JSON as Python's `json.dumps` writes it: a blank after each comma, everything beyond ASCII escaped. */
function toPythonJson(value: string | readonly string[]): string {
  return typeof value === 'string' ? asciiJson(value) : `[${value.map(asciiJson).join(', ')}]`;
}
