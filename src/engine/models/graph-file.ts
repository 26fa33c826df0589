import { readOnnxHeader, resolveExternalFile } from '#codecs/onnx-header.ts';
import type { ExternalData, Runtime, Session } from '#engine/runtime/runtime.ts';
import { foldsWeights } from '#weights/folding.ts';
import { AppError } from '#protocol/error.ts';
import type { PackFiles } from './pack-files.ts';

/**
 * Opens an ONNX file of a pack, with the files beside it that its weights are in.
 * @param bytes of its weights as stored
 * @throws AppError `integrity_failed` for a damaged graph, `model_not_found` for a file that is missing, and what the runtime
 *   throws
 */
export async function openGraphFile(
  runtime: Runtime,
  files: PackFiles,
  path: string,
  bytes: number,
): Promise<Session> {
  const model = new Uint8Array(await (await files.read(path)).arrayBuffer());
  return runtime.createSession(model, {
    externalData: await readFilesBeside(model, path, files),
    foldWeights: foldsWeights(bytes),
  });
}

/**
 * The files that a graph's weights are in, under the names the graph has for them.
 * @throws AppError `integrity_failed` for a damaged graph, `model_not_found` for a file that is missing
 */
async function readFilesBeside(model: Uint8Array, path: string, files: PackFiles): Promise<ExternalData[]> {
  const read = (start: number, end: number) => Promise.resolve(model.subarray(start, end));
  const found = await readOnnxHeader(read, model.length, {
    windowBytes: model.length,
    maxReads: Number.POSITIVE_INFINITY,
  });
  if (!found.ok) {
    throw new AppError('integrity_failed', `${path} is not a usable ONNX file: ${found.reason}`, {
      detail: { file: path },
    });
  }
  const folder = path.slice(0, Math.max(0, path.lastIndexOf('/')));
  const externalData: ExternalData[] = [];
  for (const name of found.header.externalFiles) {
    externalData.push({ path: name, data: await files.read(resolveExternalFile(folder, name) ?? name) });
  }
  return externalData;
}
