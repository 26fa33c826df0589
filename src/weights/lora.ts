import { AppError } from '#protocol/error.ts';
import {
  adapterChanges,
  adapterFactors,
  type AdapterModule,
  type Change,
  type LowRankFactors,
  type ReadFactors,
} from './adapters.ts';
import { fromFloat32, readFloat32 } from './casts.ts';
import type { Component } from './checkpoint.ts';
import { type LoraPart, ModuleIndex, parseLoraName } from './lora-names.ts';
import { dequantiseTensors, quantiseTensors, storageOf } from './quantise.ts';
import type { TensorInfo, TensorSource } from './tensor-source.ts';

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
}

/** A LoRA and how much of it. */
export interface WeightedLora {
  lora: Lora;
  /** 1 is what it was trained for; any number, also negative. */
  strength: number;
  /** Where the text encoders are to differ from the UNet. */
  textEncoderStrength?: number;
}

/** What is not merged, by the part that gives it away. */
const UNSUPPORTED: readonly (readonly [part: LoraPart, kind: string])[] = [
  ['magnitude', 'a DoRA (weight-decomposed)'],
  ['other', 'an OFT, IA³ or GLoRA adapter'],
];

/**
 * Understands a LoRA file by its names: kohya's (also with the original block names of SDXL), LyCORIS' (LoCon, LoHa,
 * LoKr, full differences), PEFT's, and diffusers' of all ages.
 *
 * @param name What errors call it.
 * @throws AppError `unsupported_feature` for DoRA and other kinds that change weights in other ways, and for files for
 *   other kinds of models; `invalid_request` for files that are no LoRA or lack a part
 */
export function parseLora(
  file: TensorSource & { metadata?: Readonly<Record<string, string>> },
  name: string,
): Lora {
  const modules = new Map<string, LoraModule>();
  const unknown: string[] = [];
  for (const tensor of file.names()) {
    const parsed = parseLoraName(tensor);
    const info = file.info(tensor);
    if (!parsed || !info) {
      unknown.push(tensor);
      continue;
    }
    const { component, module: flatName, part } = parsed;
    const key = `${component} ${flatName}`;
    const module = modules.get(key) ?? { component, flatName, parts: new Map<LoraPart, TensorInfo>() };
    modules.set(key, module);
    module.parts.set(part, info);
  }

  if (modules.size === 0) {
    throw new AppError('invalid_request', `${name} is not a LoRA for Stable Diffusion.`);
  }
  if (unknown[0] !== undefined) {
    throw new AppError(
      'unsupported_feature',
      `${name} has ${unknown.length} tensors that no LoRA for Stable Diffusion has, such as "${unknown[0]}".`,
    );
  }
  for (const { parts } of modules.values()) {
    for (const [part, kind] of UNSUPPORTED) {
      if (parts.has(part)) {
        throw new AppError('unsupported_feature', `${name} is ${kind}, which cannot be merged.`);
      }
    }
  }
  return {
    name,
    components: new Set([...modules.values()].map(({ component }) => component)),
    modules: [...modules.values()],
    scaleOf: peftScale(file.metadata?.['lora_adapter_metadata']),
    file,
  };
}

/**
 * The networks of a model with LoRAs merged in: to each weight is added, for each LoRA, its strength times the change
 * {@link adapterChanges} describes, in float32. Nothing is read before a tensor is asked for, and the networks given
 * stay as they are: to leave a LoRA out again is to use them. Tensors a LoRA changes become float32, or are quantised
 * as they were; cast the result for others.
 *
 * @throws AppError `invalid_request` when a LoRA does not fit the model: all names and shapes are checked here
 */
export function mergeLoras(
  model: ReadonlyMap<Component, TensorSource>,
  loras: readonly WeightedLora[],
): Map<Component, TensorSource> {
  const merged = new Map(model);
  const changes = new Map<Component, Map<string, WeightedChange[]>>();
  for (const { component, adapter, strength, shapes } of matchModules(model, loras)) {
    const { weight, bias } = adapterChanges(adapter, shapes);
    const ofNetwork = changes.get(component) ?? new Map<string, WeightedChange[]>();
    changes.set(component, ofNetwork);
    for (const [parameter, added] of [
      ['weight', weight],
      ['bias', bias],
    ] as const) {
      if (added.length === 0) continue;
      const name = `${adapter.module}.${parameter}`;
      const ofTensor = ofNetwork.get(name) ?? [];
      ofNetwork.set(name, ofTensor);
      for (const change of added) ofTensor.push({ change, strength });
    }
  }
  for (const [component, ofNetwork] of changes) {
    const network = model.get(component);
    if (network) merged.set(component, applyChanges(network, ofNetwork));
  }
  return merged;
}

/**
 * The changes LoRAs make to one network without merging them: factors for each module that they change, those of several
 * LoRAs joined along the rank. Undefined where a LoRA changes more of the network than linear layers and 1×1
 * convolutions, or changes them otherwise than by low rank.
 *
 * @returns what reads the factors; nothing is read before
 * @throws AppError `invalid_request` when a LoRA does not fit the model, as {@link mergeLoras}
 */
export function lowRankFactors(
  model: ReadonlyMap<Component, TensorSource>,
  network: Component,
  loras: readonly WeightedLora[],
): (() => Promise<Map<string, LowRankFactors>>) | undefined {
  const changes = new Map<string, { read: ReadFactors; strength: number }[]>();
  for (const { component, adapter, strength, shapes } of matchModules(model, loras)) {
    if (component !== network) continue;
    const read = adapterFactors(adapter, shapes.weight);
    if (!read) return undefined;
    const ofModule = changes.get(adapter.module) ?? [];
    changes.set(adapter.module, ofModule);
    ofModule.push({ read, strength });
  }
  return async () => {
    const factors = new Map<string, LowRankFactors>();
    for (const [module, ofModule] of changes) {
      const parts: LowRankFactors[] = [];
      for (const { read, strength } of ofModule) parts.push(await read(strength));
      factors.set(module, joinFactors(parts));
    }
    return factors;
  };
}

/** One pair of matrices whose product is the sum of the products. */
function joinFactors(parts: readonly LowRankFactors[]): LowRankFactors {
  const [first] = parts;
  if (!first) throw new AppError('internal', 'A module without changes has no factors.');
  if (parts.length === 1) return first;
  const rank = parts.reduce((sum, { down }) => sum + down.rows, 0);
  const [rows, columns] = [first.up.rows, first.down.columns];
  const up = { values: new Float32Array(rows * rank), rows, columns: rank };
  const down = { values: new Float32Array(rank * columns), rows: rank, columns };
  let from = 0;
  for (const part of parts) {
    down.values.set(part.down.values, from * columns);
    const own = part.up.columns;
    for (let row = 0; row < rows; row++) {
      up.values.set(part.up.values.subarray(row * own, (row + 1) * own), row * rank + from);
    }
    from += own;
  }
  return { up, down };
}

/** A module of a LoRA and the module of the model it changes. */
interface MatchedModule {
  component: Component;
  adapter: AdapterModule;
  strength: number;
  shapes: { weight: readonly number[] | undefined; bias: readonly number[] | undefined };
}

/** Finds what LoRAs change. @throws AppError `invalid_request` for what the model does not have */
function* matchModules(
  model: ReadonlyMap<Component, TensorSource>,
  loras: readonly WeightedLora[],
): Generator<MatchedModule> {
  const networks = new Map([...model].map(([component, source]) => [component, dequantiseTensors(source)]));
  const indices = new Map(
    [...model].map(([component, source]) => [component, new ModuleIndex(source.names())]),
  );
  for (const { lora, strength, textEncoderStrength = strength } of loras) {
    const seen = new Set<string>();
    for (const module of lora.modules) {
      const { component, flatName } = module;
      const network = networks.get(component);
      const target = indices.get(component)?.find(flatName);
      if (!network || target === undefined) {
        throw new AppError(
          'invalid_request',
          `${lora.name} was made for another kind of model: this one's ${component} has no "${flatName}".`,
        );
      }
      // Some files have each module twice, under its diffusers and its original name.
      if (seen.has(`${component} ${target}`)) continue;
      seen.add(`${component} ${target}`);
      yield {
        component,
        adapter: {
          lora: lora.name,
          file: lora.file,
          module: target,
          parts: module.parts,
          scale: lora.scaleOf(module),
        },
        strength: component === 'unet' ? strength : textEncoderStrength,
        shapes: {
          weight: network.info(`${target}.weight`)?.shape,
          bias: network.info(`${target}.bias`)?.shape,
        },
      };
    }
  }
}

interface WeightedChange {
  change: Change;
  strength: number;
}

/** The network with the changes in it. A quantised weight is widened, changed and quantised again. */
function applyChanges(
  network: TensorSource,
  changes: ReadonlyMap<string, readonly WeightedChange[]>,
): TensorSource {
  const exact = dequantiseTensors(network);
  const widened: TensorSource = {
    names: () => changes.keys(),
    info(name) {
      const info = exact.info(name);
      return info && { ...info, type: 'float32' };
    },
    async read(name) {
      const values = await readFloat32(exact, name);
      for (const { change, strength } of changes.get(name) ?? []) await change(values, strength);
      return fromFloat32(values, 'float32');
    },
  };
  const changed = quantiseTensors(widened, ({ name }) => storageOf(network, name));
  const sourceOf = (name: string) =>
    changes.has(name.replace(/\.(?:scale|zero_point)$/, '')) ? changed : network;
  return {
    names: () => network.names(),
    info: (name) => sourceOf(name).info(name),
    read: (name) => sourceOf(name).read(name),
    location: (name) => sourceOf(name).location?.(name),
  };
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
