import { AppError, toAppError } from '#protocol/error.ts';
import { adapterChanges, type AdapterModule, type Change } from './adapters.ts';
import type { Component } from './checkpoint.ts';
import type { Lora } from './lora.ts';
import { ModuleIndex } from './lora-names.ts';
import { dequantiseTensors } from './quantise.ts';
import type { TensorSource } from './tensor-source.ts';

/** A model's networks, as LoRAs are matched with them. */
export type LoraTargets = ReadonlyMap<Component, { network: TensorSource; index: ModuleIndex }>;

/** A module of a LoRA and the module of the model it changes. */
export interface MatchedModule {
  component: Component;
  adapter: AdapterModule;
  shapes: { weight: readonly number[] | undefined; bias: readonly number[] | undefined };
  changes: { weight: Change[]; bias: Change[] };
}

/** What a LoRA changes of a model. */
export interface LoraMatch {
  modules: readonly MatchedModule[];
  /** Modules of the LoRA that the model has none for, or one of another shape, by the LoRA's names for them. */
  skipped: readonly string[];
}

/** Prepares a model's networks for {@link matchLora}. */
export function openTargets(model: ReadonlyMap<Component, TensorSource>): LoraTargets {
  return new Map(
    [...model].map(([component, source]) => [
      component,
      { network: dequantiseTensors(source), index: new ModuleIndex(source.names()) },
    ]),
  );
}

/** Layers as wide as the text features of the family: where these do not fit, the LoRA is for another family. */
const OF_THE_FAMILY = /attn2\.to_[kv]$/;

/**
 * Finds the modules that a LoRA changes. Modules the model lacks are skipped, as A1111 does, and so are single ones whose
 * shapes do not fit, such as the first convolution of an inpainting model.
 * @throws AppError `invalid_request` when no module fits, or those that read the text are of another width: the LoRA was made
 *   for another family
 */
export function matchLora(targets: LoraTargets, lora: Lora): LoraMatch {
  const modules: MatchedModule[] = [];
  const skipped: string[] = [];
  const seen = new Set<string>();
  let problem: AppError | undefined;
  for (const module of lora.modules) {
    const { component, flatName } = module;
    const found = targets.get(component);
    const target = found?.index.find(flatName);
    if (!found || target === undefined) {
      skipped.push(flatName);
      problem ??= new AppError(
        'invalid_request',
        `${lora.name} was made for another kind of model: the ${component} of this one has no "${flatName}".`,
      );
      continue;
    }
    // Some files have each module twice, under its diffusers and its original name.
    const key = `${component} ${target}`;
    if (seen.has(key)) continue;
    seen.add(key);
    const adapter: AdapterModule = {
      lora: lora.name,
      file: lora.file,
      module: target,
      parts: module.parts,
      scale: lora.scaleOf(module),
    };
    const shapes = {
      weight: found.network.info(`${target}.weight`)?.shape,
      bias: found.network.info(`${target}.bias`)?.shape,
    };
    if (module.parts.has('biasDifference') && !shapes.bias) skipped.push(`${flatName}.bias`);
    try {
      modules.push({ component, adapter, shapes, changes: adapterChanges(adapter, shapes) });
    } catch (thrown) {
      problem = toAppError(thrown);
      if (OF_THE_FAMILY.test(target)) throw problem;
      skipped.push(flatName);
    }
  }
  if (modules.length === 0 && problem) throw problem;
  return { modules, skipped };
}
