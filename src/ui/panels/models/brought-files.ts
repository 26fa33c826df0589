import { fromEvent } from 'file-selector';
import { AppError } from '#protocol/error.ts';
import type { ImportSource } from '#protocol/import.ts';

/** A file and its path from what was dropped or chosen: `sd-turbo/unet/model.onnx`, or only a name. */
export interface BroughtFile {
  path: string;
  file: File;
}

/** No model has more; a whole disk dropped by mistake does. */
const MOST_FILES = 2000;

/** Weight files that are each complete on their own. */
const WEIGHTS = /\.(?:safetensors|ckpt|pt|pth|bin|gguf|onnx)$/i;

/** Paths that make a folder one model: its index, or a network's own folder. */
const PIPELINE =
  /(?:^|\/)(?:model_index\.json|(?:unet|transformer|vae|vae_decoder|vae_encoder|text_encoder|text_encoder_2)\/[^/]+)$/;

/**
 * Everything in a drop, folders read to the bottom. Call it while the event is dispatched: afterwards the browser has taken
 * its items back.
 * @throws AppError `invalid_request` where there are too many files for a model
 */
export async function filesOfDrop(event: DragEvent): Promise<BroughtFile[]> {
  const files = (await fromEvent(event)).filter((item) => item instanceof File);
  if (files.length > MOST_FILES) {
    throw new AppError(
      'invalid_request',
      `There are more than ${String(MOST_FILES)} files in this folder. Drop the folder of one model.`,
    );
  }
  // The library writes `/folder/name` and `./name`.
  return files.map((file) => ({ path: file.relativePath.replace(/^\.?\//, ''), file }));
}

/** What was chosen in a file picker. */
export function filesOfPicker(files: FileList): BroughtFile[] {
  return [...files].map((file) => ({ path: file.webkitRelativePath || file.name, file }));
}

/**
 * Splits files into separate imports: a folder that holds the parts of one model stays together, files of
 * weights are each their own.
 */
export function toSources(files: readonly BroughtFile[]): { name: string; source: ImportSource }[] {
  const folders = Map.groupBy(files, ({ path }) => /^[^/]*/.exec(path)?.[0] ?? path);
  return [...folders].flatMap(([name, members]) => {
    const weights = members.filter(({ path }) => WEIGHTS.test(path));
    if (weights.length === 0 || members.some(({ path }) => PIPELINE.test(path)))
      return [{ name, source: { from: 'files', files: members } }];
    return weights.map(({ file }) => ({
      name: file.name,
      source: { from: 'files', files: [{ path: file.name, file }] },
    }));
  });
}
