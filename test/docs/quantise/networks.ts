import { findArchitecture, type NetworkName } from '#engine/architectures/index.ts';
import type { ConfigJson } from '#engine/architectures/config.ts';
import { readFloat32 } from '#weights/casts.ts';
import type { TensorSource } from '#weights/tensor-source.ts';
import { openGraph, type Session } from '../../support/onnx-session.ts';
import { tensorsOf } from '../../support/random-weights.ts';

/** Weights in memory, by name. */
export type Weights = Readonly<Record<string, { shape: readonly number[]; data: Float32Array<ArrayBuffer> }>>;

/** All of a file's tensors as float32. */
export async function readWeights(source: TensorSource): Promise<Weights> {
  const weights: Record<string, { shape: readonly number[]; data: Float32Array<ArrayBuffer> }> = {};
  for (const name of source.names()) {
    weights[name] = { shape: source.info(name)?.shape ?? [], data: await readFloat32(source, name) };
  }
  return weights;
}

/** A session of a network around weights in memory. */
export async function openNetwork(
  network: NetworkName,
  config: ConfigJson,
  weights: Weights,
): Promise<Session> {
  const source = tensorsOf(weights);
  const found = findArchitecture(network, (_, tensor) => source.info(tensor) !== undefined);
  if (!found) throw new Error(`There is no architecture for these weights of ${network}.`);
  // Opened for a few runs only: optimising would take longer than it saves.
  return openGraph(found.build(config, { weights: source }), source, {}, { graphOptimizationLevel: 'basic' });
}
