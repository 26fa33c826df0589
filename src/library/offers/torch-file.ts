import { recogniseFooocusInpaint } from '#weights/fooocus-patch.ts';
import { elementCount, type TensorSource } from '#weights/tensor-source.ts';
import { openTorchArchive } from '#weights/torch-archive.ts';
import type { SourceFile } from '#library/sources/source-file.ts';
import { familyByTextWidth } from '#protocol/families.ts';
import type { ModelFamily } from '#protocol/model.ts';
import { countInWords, toPackFile, type Finding } from './finding.ts';

/** The versions of Fooocus' patch, by the names of its files (lllyasviel/fooocus_inpaint). */
const VERSIONS: readonly (readonly [name: RegExp, version: string])[] = [
  [/v26/i, 'v2.6'],
  [/v25/i, 'v2.5'],
  [/^inpaint\.fooocus/i, 'v1'],
];

/** The version that Fooocus takes by itself. */
const USUAL_VERSION = 'v2.6';

/**
 * Recognises the two files of Fooocus' inpainting, which come as PyTorch saves them: `fooocus_inpaint_head.pth` and a
 * `.fooocus.patch`. Nothing in them is run.
 * @returns undefined for other files of this kind
 * @throws AppError `unsupported_feature` for files with more than tensors in them, `integrity_failed` for damaged ones
 */
export async function inspectTorchFile(file: SourceFile): Promise<Finding | undefined> {
  const tensors = await openTorchArchive(file, file.path);
  const part = recogniseFooocusInpaint(tensors);
  if (part === undefined) return undefined;
  const isHead = part === 'head';
  const name = file.path.split('/').pop() ?? file.path;
  const version = isHead ? undefined : VERSIONS.find(([pattern]) => pattern.test(name))?.[1];
  const title = isHead ? 'Head of Fooocus’ inpaint patch' : `Fooocus’ inpaint patch ${version ?? ''}`.trim();
  const parameters = countNumbers(tensors);
  const placed = { path: isHead ? 'head.pth' : 'inpaint.fooocus.patch', file };
  const family = isHead ? 'sdxl' : familyOfPatch(tensors);
  const summary = `${title}, ${countInWords(parameters)} parameters`;
  return {
    offer: {
      kind: 'inpaint-patch',
      family,
      format: 'torch',
      summary,
      type: null,
      parameters,
      options: [{ storage: 'exact', sizeBytes: file.size, memoryBytes: file.size }],
      prediction: null,
      warnings:
        isHead || version !== undefined
          ? []
          : [`Its name does not say which version it is; it will be used as ${USUAL_VERSION}.`],
      problem: null,
    },
    licence: null,
    files: [placed],
    draft: () =>
      Promise.resolve({
        kind: 'inpaint-patch',
        family,
        network: isHead ? 'head' : (version ?? USUAL_VERSION),
        description: summary,
        files: [toPackFile(placed)],
      }),
  };
}

/** By the width of the text that the changed attention reads; null where the patch does not change it. */
function familyOfPatch(tensors: TensorSource): ModelFamily | null {
  for (const name of tensors.names()) {
    const width = name.endsWith('.attn2.to_k.weight.0') && tensors.info(name)?.shape[1];
    if (width) return familyByTextWidth(width) ?? null;
  }
  return null;
}

function countNumbers(tensors: TensorSource): number {
  let count = 0;
  for (const name of tensors.names()) {
    // The smallest and the largest difference are no parameters.
    if (!/\.[12]$/.test(name)) count += elementCount(tensors.info(name)?.shape ?? []);
  }
  return count;
}
