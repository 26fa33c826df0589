import { AppError } from '#protocol/error.ts';
import { missingPart } from './adapters.ts';
import type { Component } from './checkpoint.ts';
import { type LoraPart, parseBundledName, parseLoraName } from './lora-names.ts';
import type { TensorInfo, TensorSource } from './tensor-source.ts';
import { type TensorView, viewTensors } from './tensor-views.ts';
import { findTextualInversion } from './textual-inversion.ts';

/** Changes of one module: which tensors of the file they are. */
interface LoraModule {
  component: Component;
  flatName: string;
  parts: Map<LoraPart, TensorInfo>;
}

/** A LoRA file, understood but not yet matched with a model. */
export interface Lora {
  name: string;
  /** The networks it changes. */
  components: ReadonlySet<Component>;
  modules: readonly LoraModule[];
  /** alpha / rank of a module without an `alpha` tensor. */
  scaleOf: (module: LoraModule) => number;
  file: TensorSource;
  /** The embeddings bundled with it, by their words: each as a file of its own would have it. */
  embeddings: ReadonlyMap<string, TensorSource>;
  /** Tensors without a known use: position numbers, a lone alpha or half of a pair. */
  unknown: readonly string[];
}

/** What is not merged, by the part that gives it away. */
const UNSUPPORTED: readonly (readonly [part: LoraPart, kind: string])[] = [
  ['magnitude', 'a DoRA (weight-decomposed)'],
  ['other', 'an OFT, IA³ or GLoRA adapter'],
];

/**
 * Understands a LoRA file by its names: kohya's (also with the original block names of SDXL), LyCORIS' (LoCon, LoHa,
 * LoKr, full differences), PEFT's, and diffusers' of all ages; embeddings bundled with it as A1111 and OneTrainer have them
 * (`bundle_emb.<word>.string_to_param.*`, or `.clip_l` and `.clip_g`). Tensors it does not know and modules without all their
 * parts are left out and named.
 *
 * @param name What errors call it.
 * @throws AppError `unsupported_feature` for DoRA and other kinds that change weights in other ways, and for files of which
 *   most is for other kinds of models; `invalid_request` for files that are not LoRAs or have no complete module
 */
export function parseLora(
  file: TensorSource & { metadata?: Readonly<Record<string, string>> },
  name: string,
): Lora {
  const found = new Map<string, LoraModule>();
  const bundles = new Map<string, TensorView[]>();
  const unknown: string[] = [];
  let known = 0;
  for (const tensor of file.names()) {
    const info = file.info(tensor);
    if (!info) continue;
    const bundled = parseBundledName(tensor);
    if (bundled) {
      const views = bundles.get(bundled.word) ?? [];
      bundles.set(bundled.word, views);
      views.push({ name: bundled.vectors, original: tensor, shape: info.shape });
      continue;
    }
    const parsed = parseLoraName(tensor);
    if (!parsed) {
      unknown.push(tensor);
      continue;
    }
    known++;
    const { component, module: flatName, part } = parsed;
    const key = `${component} ${flatName}`;
    const module = found.get(key) ?? { component, flatName, parts: new Map<LoraPart, TensorInfo>() };
    found.set(key, module);
    module.parts.set(part, info);
  }

  if (known === 0 && bundles.size === 0) {
    throw new AppError('invalid_request', `${name} is not a LoRA for Stable Diffusion.`);
  }
  const whole = [...found.values()].filter(isWhole);
  const isMostlyOther = unknown.length > known || whole.length === 0;
  if (unknown[0] !== undefined && isMostlyOther && bundles.size === 0) {
    throw new AppError(
      'unsupported_feature',
      `${name} has ${unknown.length} tensors that no LoRA for Stable Diffusion has, such as "${unknown[0]}".`,
    );
  }
  for (const { parts } of found.values()) {
    for (const [part, kind] of UNSUPPORTED) {
      if (parts.has(part)) {
        throw new AppError('unsupported_feature', `${name} is ${kind}, which cannot be merged.`);
      }
    }
  }
  const embeddings = openBundles(file, bundles, unknown);
  const [half] = [...found.values()].filter((module) => !isWhole(module));
  if (half && whole.length === 0 && embeddings.size === 0) {
    throw new AppError(
      'invalid_request',
      `${name} is incomplete: the ${missingPart(half.parts) ?? 'up'} tensor of "${half.flatName}" is missing.`,
    );
  }
  for (const module of found.values()) {
    if (!isWhole(module)) unknown.push(...[...module.parts.values()].map((info) => info.name));
  }
  return {
    name,
    components: new Set(whole.map(({ component }) => component)),
    modules: whole,
    scaleOf: peftScale(file.metadata?.['lora_adapter_metadata']),
    file,
    embeddings,
    unknown,
  };
}

function isWhole({ parts }: LoraModule): boolean {
  return missingPart(parts) === null;
}

/** The bundled embeddings that are whole; tensors of others are added to the unknown ones. */
function openBundles(
  file: TensorSource,
  bundles: ReadonlyMap<string, readonly TensorView[]>,
  unknown: string[],
): Map<string, TensorSource> {
  const embeddings = new Map<string, TensorSource>();
  for (const [word, views] of bundles) {
    // OneTrainer adds vectors for what comes out of the encoders.
    const pair = views.filter(({ name }) => name === 'clip_l' || name === 'clip_g');
    const used = pair.length === 2 ? pair : views;
    const source = viewTensors(file, used);
    const isKnown = findTextualInversion(source) !== undefined;
    if (isKnown) embeddings.set(word, source);
    unknown.push(...views.filter((view) => !isKnown || !used.includes(view)).map(({ original }) => original));
  }
  return embeddings;
}

/**
 * alpha / rank as PEFT's configuration has it, which diffusers (0.35 and later) saves as JSON in the file's metadata,
 * with a prefix for each network: `unet.lora_alpha`, `unet.r`. 1 without it, as diffusers then assumes.
 */
function peftScale(json: string | undefined): Lora['scaleOf'] {
  if (json === undefined) return () => 1;
  let config: unknown;
  try {
    config = JSON.parse(json);
  } catch {
    throw new AppError('invalid_request', "The LoRA's adapter metadata is not valid JSON.");
  }
  const values = new Map(Object.entries(config ?? {}));
  return ({ component, flatName }) => {
    const number = (key: string, pattern: string): number | undefined => {
      const patterns: unknown = values.get(`${component}.${pattern}`);
      const special = Object.entries(patterns ?? {}).find(([module]) =>
        `_${flatName}`.endsWith(`_${module.replaceAll('.', '_')}`),
      );
      const value: unknown = special?.[1] ?? values.get(`${component}.${key}`);
      return typeof value === 'number' ? value : undefined;
    };
    const alpha = number('lora_alpha', 'alpha_pattern');
    const rank = number('r', 'rank_pattern');
    if (alpha === undefined || !rank) return 1;
    return alpha / (values.get(`${component}.use_rslora`) === true ? Math.sqrt(rank) : rank);
  };
}
