import { AppError } from '#protocol/error.ts';
import { adapterFactors, type Change, type LowRankFactors, type ReadFactors } from './adapters.ts';
import { fromFloat32, readFloat32 } from './casts.ts';
import type { Component } from './checkpoint.ts';
import type { Lora } from './lora.ts';
import { matchLora, openTargets, type MatchedModule } from './match-lora.ts';
import { dequantiseTensors, quantiseTensors, storageOf } from './quantise.ts';
import type { TensorSource } from './tensor-source.ts';

/** A LoRA and how much of it. */
export interface WeightedLora {
  lora: Lora;
  /** 1 is what it was trained for; any number, also negative. */
  strength: number;
  /** If the text encoders differ from the UNet. */
  textEncoderStrength?: number;
}

/**
 * The networks of a model with LoRAs merged in: to each weight is added, for each LoRA, its strength times the change
 * {@link adapterChanges} describes, in float32. Nothing is read before a tensor is requested, and the networks given
 * stay unchanged: removing a LoRA means using them again. Tensors a LoRA changes become float32, or are quantised
 * as they were; cast the result for others.
 *
 * @throws AppError `invalid_request` when a LoRA does not fit the model, see {@link matchLora}: all names and shapes are
 *   checked here
 */
export function mergeLoras(
  model: ReadonlyMap<Component, TensorSource>,
  loras: readonly WeightedLora[],
): Map<Component, TensorSource> {
  const merged = new Map(model);
  const changes = new Map<Component, Map<string, WeightedChange[]>>();
  for (const { component, adapter, strength, changes: own } of matchAll(model, loras)) {
    const ofNetwork = changes.get(component) ?? new Map<string, WeightedChange[]>();
    changes.set(component, ofNetwork);
    for (const [parameter, added] of [
      ['weight', own.weight],
      ['bias', own.bias],
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
  for (const { component, adapter, strength, shapes } of matchAll(model, loras)) {
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

/** The modules that LoRAs change, and the strength of each change. */
function* matchAll(
  model: ReadonlyMap<Component, TensorSource>,
  loras: readonly WeightedLora[],
): Generator<MatchedModule & { strength: number }> {
  const targets = openTargets(model);
  for (const { lora, strength, textEncoderStrength = strength } of loras) {
    for (const module of matchLora(targets, lora).modules) {
      yield { ...module, strength: module.component === 'unet' ? strength : textEncoderStrength };
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
