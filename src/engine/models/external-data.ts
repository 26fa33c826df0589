import type { BuiltGraph } from '#engine/graph/graph.ts';
import { deferGeneratedFile, readGeneratedFile } from '#engine/graph/weight-binder.ts';
import type { ExternalData } from '#engine/runtime/runtime.ts';
import type { TensorSource } from '#weights/tensor-source.ts';
import { AppError } from '#protocol/error.ts';
import type { HeldFile } from './held-file.ts';

/** Generated weights leave JavaScript's memory in parts of this size; fewer than that stay there until they are copied. */
const PART_BYTES = 32e6;

/**
 * What a graph's weights are read from: the user's own files where they hold the very bytes, and those that are computed, in
 * memory or, of larger networks, in a Blob made part by part. What is larger than the weights it is made of is made when it is
 * asked for.
 *
 * @param files the user's files by the names that the weights' locations call them
 */
export async function externalDataOf(
  graph: BuiltGraph,
  weights: TensorSource,
  files: ReadonlyMap<string, HeldFile>,
): Promise<ExternalData[]> {
  const externalData: ExternalData[] = [];
  for (const path of graph.files) {
    const file = files.get(path);
    if (!file) throw new AppError('internal', `The graph reads a file ${path} that it was not given.`);
    externalData.push({ path, data: await file.whole() });
  }
  if (!graph.generated) return externalData;
  const { path, sizeBytes, tensors } = graph.generated;
  if (tensors.some(({ derived }) => derived)) {
    return [...externalData, { path, data: await deferGeneratedFile(graph.generated, weights) }];
  }
  if (sizeBytes <= PART_BYTES) {
    const data = new Uint8Array(sizeBytes);
    let position = 0;
    for await (const part of readGeneratedFile(graph.generated, weights)) {
      data.set(part, position);
      position += part.length;
    }
    return [...externalData, { path, data }];
  }

  const blobs: Blob[] = [];
  let parts: Uint8Array<ArrayBuffer>[] = [];
  let bytes = 0;
  for await (const part of readGeneratedFile(graph.generated, weights)) {
    parts.push(part);
    bytes += part.length;
    if (bytes < PART_BYTES) continue;
    blobs.push(new Blob(parts));
    parts = [];
    bytes = 0;
  }
  return [...externalData, { path, data: new Blob([...blobs, ...parts]) }];
}
