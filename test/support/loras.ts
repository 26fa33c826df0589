import type { BuiltGraph } from '#engine/graph/graph.ts';
import type { LowRankFactors } from '#weights/adapters.ts';
import type { TensorSource } from '#weights/tensor-source.ts';
import { pseudoRandom, tensorsOf } from './random-weights.ts';

/** An input of a graph with `loraInputs`: the module, which of its two matrices, and that matrix's known side. */
interface LoraInput {
  name: string;
  module: string;
  side: 'down' | 'up';
  width: number;
}

/** The inputs a graph takes LoRAs by. */
export function loraInputsOf({ inputs }: Pick<BuiltGraph, 'inputs'>): LoraInput[] {
  return inputs.flatMap(({ name, shape }) => {
    const [, module, side] = /^(.+)\.lora_(down|up)$/.exec(name) ?? [];
    if (module === undefined || (side !== 'down' && side !== 'up')) return [];
    return [{ name, module, side, width: Number(shape[side === 'down' ? 1 : 0]) }];
  });
}

/** Factors as the inputs of a graph, zeros of rank 1 for the modules that have none. */
export function loraFeeds(
  graph: BuiltGraph,
  factors: ReadonlyMap<string, LowRankFactors> = new Map(),
): Record<string, { data: Float32Array; shape: number[] }> {
  return Object.fromEntries(
    loraInputsOf(graph).map(({ name, module, side, width }) => {
      const factor = factors.get(module)?.[side];
      const [rows, columns] = side === 'down' ? [1, width] : [width, 1];
      return [
        name,
        factor
          ? { data: factor.values, shape: [factor.rows, factor.columns] }
          : { data: new Float32Array(width), shape: [rows, columns] },
      ];
    }),
  );
}

/**
 * A LoRA by PEFT's names that changes every module a graph has inputs for.
 * @param rankOf the rank of a module, small and different if left out
 */
export function randomLora(
  graph: BuiltGraph,
  seed: number,
  rankOf = (module: string) => 1 + ((module.length + seed) % 3),
): TensorSource {
  const tensors = loraInputsOf(graph).map(({ module, side, width }, index) => {
    const rank = rankOf(module);
    const data = pseudoRandom(rank * width, seed + index).map((value) => 0.1 * value);
    const [part, shape] = side === 'down' ? (['A', [rank, width]] as const) : (['B', [width, rank]] as const);
    return [`unet.${module}.lora_${part}.weight`, { shape, data }] as const;
  });
  return tensorsOf(Object.fromEntries(tensors));
}

/** A LoRA without its convolutions of more than one cell, so that it can be given as inputs. */
export function withoutKernels(lora: TensorSource): TensorSource {
  const modulesOf = (name: string) => name.replace(/\.(?:lora_\w+\.weight|alpha)$/, '');
  const kernels = new Set(
    [...lora.names()]
      .filter((name) => (lora.info(name)?.shape.slice(2) ?? []).some((side) => side > 1))
      .map(modulesOf),
  );
  return { ...lora, names: () => [...lora.names()].filter((name) => !kernels.has(modulesOf(name))) };
}
